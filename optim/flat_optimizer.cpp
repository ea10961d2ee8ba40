#include "optim/flat_optimizer.h"

#include "optim/kernels/update_math.h"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>

namespace batchscope::optim {

namespace {

void require(bool ok, const std::string& what) {
  if (!ok) {
    throw std::invalid_argument("optimizer: " + what);
  }
}

torch::Tensor clone_or_undefined(const torch::Tensor& x) {
  return x.defined() ? x.clone() : x;
}

}  // namespace

State State::clone() const {
  State copy = *this;
  copy.m = clone_or_undefined(m);
  copy.v = clone_or_undefined(v);
  return copy;
}

FlatOptimizer::FlatOptimizer(const Options& options,
                             const std::vector<Parameter>& parameters,
                             std::int64_t modules)
    : options_(options),
      layout_(parameters, modules),
      modules_(modules),
      device_(layout_.tensor_options().device()) {
  check_options(options);
}

bool FlatOptimizer::excluding() const {
  return options_.exclude_1d && options_.method != Method::kSgd &&
         options_.method != Method::kAdamW;
}

torch::Tensor FlatOptimizer::decaying(const torch::Tensor& flat) const {
  return excluding() ? flat.narrow(0, 0, layout_.matrices()) : flat;
}

kernels::Dtype FlatOptimizer::dtype() const {
  return layout_.tensor_options().dtype() == torch::kDouble ? kernels::Dtype::kFloat64
                                                            : kernels::Dtype::kFloat32;
}

double Update::grad_norm(std::size_t k) const {
  return std::sqrt(sums[k].g) * clip;
}

FlatOptimizer::Memory FlatOptimizer::bind(std::vector<torch::Tensor>& grads, Update& update) const {
  layout_.check_shapes(grads);
  Memory memory;
  update.pieces.resize(layout_.count());
  update.sums.resize(layout_.count());
  update.skip.assign(layout_.count(), false);
  const auto dense = [&](const torch::Tensor& x, std::size_t k) {
    torch::Tensor copy = layout_.empty_piece(k);
    return x.defined() ? copy.copy_(x.detach()) : copy.zero_();
  };
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    const torch::Tensor& w = layout_.weight(k);
    const torch::Tensor& g = grads[layout_.parameter(k)];
    const bool in_place = layout_.walkable(w, k);
    if (!in_place) {
      memory.copied.push_back(k);
    }
    memory.weights.push_back(in_place ? w : dense(w, k));
    const bool as_it_is = g.defined() && layout_.walkable(g, k, /*any_dtype=*/on_device());
    memory.grads.push_back(as_it_is ? g : dense(g, k));
    kernels::Piece& piece = update.pieces[k];
    piece.w = memory.weights.back().mutable_data_ptr();
    piece.g = memory.grads.back().mutable_data_ptr();
    piece.elements = layout_.size(k);
  }
  return memory;
}

void FlatOptimizer::set_moments(State& state, std::vector<kernels::Piece>& pieces) const {
  const auto begin = [&](torch::Tensor& flat) {
    return static_cast<std::byte*>(flat.mutable_data_ptr());
  };
  const auto bytes = static_cast<std::int64_t>(state.m.element_size());
  std::byte* const m = begin(state.m);
  std::byte* const v = state.v.defined() ? begin(state.v) : nullptr;
  for (std::size_t k = 0; k < pieces.size(); ++k) {
    pieces[k].m = m + layout_.begin(k) * bytes;
    pieces[k].v = v == nullptr ? nullptr : v + layout_.begin(k) * bytes;
  }
}

void FlatOptimizer::look_at_gradients(Update& update,
                                      const std::vector<double>* squares,
                                      StepReport& report) const {
  const bool weights = needs_weight_norms();
  if (squares == nullptr || weights) {
    kernels::measure(dtype(), update.pieces, weights, update.sums);
  }
  for (std::size_t k = 0; k < layout_.count() && squares != nullptr; ++k) {
    update.sums[k].g = squares->at(layout_.parameter(k));
  }
  double sum = 0;
  for (const kernels::Sums& s : update.sums) {
    sum += s.g;
  }
  report.grad_norm = std::sqrt(sum);
  report.module_grad_norm = gradient_norms(update);
  if (options_.clip_norm > 0 && std::isfinite(report.grad_norm)) {
    report.clip_factor = options_.clip_form == ClipForm::kTorch
                             ? math::clip_torch(report.grad_norm, options_.clip_norm)
                             : math::clip_lamb(report.grad_norm, options_.clip_norm);
  }
  update.clip = report.clip_factor;
  report.applied =
      std::isfinite(report.grad_norm) && report.grad_norm * report.clip_factor <= largest_norm();
}

void FlatOptimizer::make_ready(State& state,
                               Update& update,
                               double lr,
                               const std::vector<double>& mu) const {
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    update.rate.push_back(lr * mu[layout_.module(k)]);
  }
  set_moments(state, update.pieces);
  prepare(state, update);
}

void FlatOptimizer::require_factors(const std::vector<double>& mu) const {
  require(static_cast<std::int64_t>(mu.size()) == modules_,
          "expected " + std::to_string(modules_) + " factors, found " + std::to_string(mu.size()));
}

StepReport FlatOptimizer::step(std::vector<torch::Tensor>& grads,
                               double lr,
                               const std::vector<double>& mu) {
  return run(grads, nullptr, lr, mu);
}

StepReport FlatOptimizer::step_measured(std::vector<torch::Tensor>& grads,
                                        const std::vector<double>& squares,
                                        double lr,
                                        const std::vector<double>& mu) {
  require(squares.size() == layout_.count(),
          "expected " + std::to_string(layout_.count()) + " sums of squares, found " +
              std::to_string(squares.size()));
  return run(grads, &squares, lr, mu);
}

StepReport FlatOptimizer::run(std::vector<torch::Tensor>& grads,
                              const std::vector<double>* squares,
                              double lr,
                              const std::vector<double>& mu) {
  require_factors(mu);
  const torch::NoGradGuard no_grad;
  StepReport report;
  Update update;
  update.norms = diagnostics_;
  const Memory memory = bind(grads, update);
  make_ready(state_, update, lr, mu);
  if (on_device()) {
    report = run_on_device(state_, update, memory, torch::Tensor());
  } else {
    look_at_gradients(update, squares, report);
    if (report.applied) {
      pass(state_, update);
    }
  }
  if (!report.applied) {
    return report;
  }
  const Direction d = settle(state_, update);
  ++state_.t;
  give_back(memory);
  report_step(report, update, d, lr, mu);
  return report;
}

void FlatOptimizer::give_back(const Memory& memory) const {
  for (const std::size_t k : memory.copied) {
    torch::Tensor w = layout_.weight(k);
    w.copy_(memory.weights[k]);
  }
  for (const torch::Tensor& w : memory.weights) {
    w.unsafeGetTensorImpl()->bump_version();  // autograd notices weights that change under it
  }
}

StepReport FlatOptimizer::run_on_device(State& state,
                                        Update& update,
                                        const Memory& memory,
                                        const torch::Tensor& directions) {
  kernels::DeviceRules rules = device_rules(state);
  rules.wide = dtype() == kernels::Dtype::kFloat64;
  rules.norms = update.norms;
  rules.dry = update.dry;
  rules.clip_norm = options_.clip_norm;
  rules.clip_lamb = options_.clip_form == ClipForm::kLamb;
  rules.largest_norm = largest_norm();
  rules.eps = options_.eps;
  rules.weight_decay = options_.lars_decay_in_ratio ? options_.weight_decay : 0;
  // Gradients may be narrower than the direction, so it gets a place of its own.
  const torch::Tensor u = directions.defined() ? directions : layout_.empty();
  std::vector<kernels::DevicePiece> pieces;
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    const kernels::Piece& p = update.pieces[k];
    const bool stores = update.dry || (rules.adaptive && p.adapts);
    pieces.push_back({.w = p.w,
                      .g = p.g,
                      .m = p.m,
                      .v = p.v,
                      .u = stores ? layout_.piece(u, k).mutable_data_ptr() : nullptr,
                      .elements = p.elements,
                      .decay = p.decay,
                      .rate = update.rate[k],
                      .folded = state.folded.empty() ? 0.0 : state.folded[k],
                      .grad = grad_type(memory.grads[k].scalar_type()),
                      .adapts = p.adapts});
  }
  device_.enqueue(rules, pieces);
  std::vector<kernels::DeviceOutcome> outcomes;
  const kernels::DeviceReport seen = device_.read(outcomes);
  for (std::size_t k = 0; k < outcomes.size(); ++k) {
    const kernels::DeviceOutcome& o = outcomes[k];
    update.sums[k] = {o.g, o.w, o.u, o.m, o.v};
    update.pieces[k].factor = o.factor;
    update.pieces[k].trust = o.trust;
    update.pieces[k].adapts = o.adapted != 0;
    update.skip[k] = o.dead != 0 || o.silent != 0;
  }
  StepReport report;
  report.grad_norm = seen.grad_norm;
  report.clip_factor = update.clip = seen.clip;
  report.applied = seen.applied != 0;
  report.module_grad_norm = gradient_norms(update);
  return report;
}

StepReport FlatOptimizer::dry_run(State& state,
                                  std::vector<torch::Tensor>& copies,
                                  const torch::Tensor& flat,
                                  Update& update,
                                  double lr,
                                  const std::vector<double>& mu) {
  StepReport report;
  update.dry = true;
  const Memory memory = bind(copies, update);
  make_ready(state, update, lr, mu);
  if (on_device()) {
    // The kernel reads an element of the gradient before it writes the direction there.
    return run_on_device(state, update, memory, flat);
  }
  look_at_gradients(update, nullptr, report);
  if (report.applied) {
    pass(state, update);
  }
  return report;
}

StepReport FlatOptimizer::shadow_step(const std::vector<torch::Tensor>& grads,
                                      double lr,
                                      const std::vector<double>& mu,
                                      std::vector<torch::Tensor>* change) {
  require_factors(mu);
  const torch::NoGradGuard no_grad;
  Update update;
  update.norms = diagnostics_;
  const torch::Tensor flat = layout_.flatten(grads);
  std::vector<torch::Tensor> copies = layout_.by_parameter(flat);
  StepReport report = dry_run(state_, copies, flat, update, lr, mu);
  if (!report.applied) {
    return report;
  }
  const Direction d = settle(state_, update);
  ++state_.t;
  report_step(report, update, d, lr, mu);
  for (std::size_t k = 0; k < layout_.count() && change != nullptr; ++k) {
    copies[layout_.parameter(k)].mul_(update.pieces[k].factor);
  }
  if (change != nullptr) {
    *change = std::move(copies);
  }
  return report;
}

std::vector<torch::Tensor> FlatOptimizer::preview(const std::vector<torch::Tensor>& grads) {
  const torch::NoGradGuard no_grad;
  Update update;
  const torch::Tensor flat = layout_.flatten(grads);
  std::vector<torch::Tensor> change = layout_.by_parameter(flat);
  State copy = state_.clone();
  strip_rates(copy);
  const std::vector<double> mu(static_cast<std::size_t>(modules_), 1.0);
  if (!dry_run(copy, change, flat, update, 1.0, mu).applied) {
    return layout_.by_parameter(layout_.zeros());
  }
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    change[layout_.parameter(k)].mul_(update.pieces[k].factor);
  }
  return change;
}

void FlatOptimizer::set_options(const Options& options) {
  check_options(options);
  require(options.method == options_.method,
          "set_options keeps the method (" + to_string(options_.method) + "), found " +
              to_string(options.method) + "; switch_optimizer changes it");
  options_change(options);
  options_ = options;
}

}  // namespace batchscope::optim
