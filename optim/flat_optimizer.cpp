#include "optim/flat_optimizer.h"

#include "optim/kernels/reduce.h"
#include "optim/kernels/update_math.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <stdexcept>

namespace batchscope::optim {

namespace {

void require(bool ok, const std::string& what) {
  if (!ok) {
    throw std::invalid_argument("optimizer: " + what);
  }
}

void check_parameters(const std::vector<Parameter>& parameters, std::int64_t modules) {
  require(!parameters.empty(), "there are no tensors to train");
  const torch::Tensor& first = parameters.front().tensor;
  std::set<std::string> names;
  for (const Parameter& p : parameters) {
    require(p.tensor.defined(), "tensor \"" + p.name + "\" is undefined");
    require(p.module >= 0 && p.module < modules,
            "tensor \"" + p.name + "\" names module " + std::to_string(p.module) + " of " +
                std::to_string(modules));
    const auto dtype = p.tensor.scalar_type();
    require(dtype == torch::kFloat || dtype == torch::kDouble,
            "tensor \"" + p.name + "\" must be float32 or float64, found " + c10::toString(dtype));
    require(dtype == first.scalar_type() && p.tensor.device() == first.device(),
            "tensor \"" + p.name + "\" differs from the first in dtype or device");
    require(names.insert(p.name).second, "tensor \"" + p.name + "\" is listed twice");
  }
}

double root_sum(const std::vector<double>& norms) {
  double sum = 0;
  for (const double n : norms) {
    sum += n * n;
  }
  return std::sqrt(sum);
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
    : options_(options), parameters_(parameters), modules_(modules), order_(parameters.size()) {
  check_options(options);
  check_parameters(parameters, modules);
  std::iota(order_.begin(), order_.end(), 0U);
  std::ranges::stable_partition(order_, [&](auto i) { return parameters[i].tensor.dim() > 1; });
  for (const std::size_t i : order_) {
    sizes_.push_back(parameters[i].tensor.numel());
    begins_.push_back(total_);
    total_ += sizes_.back();
    matrices_ += parameters[i].tensor.dim() > 1 ? sizes_.back() : 0;
  }
  tensor_options_ = parameters.front().tensor.options().requires_grad(false);
}

torch::Tensor FlatOptimizer::zeros() const {
  return torch::zeros({total_}, tensor_options_);
}

torch::Tensor FlatOptimizer::flatten(const std::vector<torch::Tensor>& tensors) const {
  require(
      tensors.size() == count(),
      "expected " + std::to_string(count()) + " tensors, found " + std::to_string(tensors.size()));
  std::vector<torch::Tensor> list;
  list.reserve(count());
  for (std::size_t k = 0; k < count(); ++k) {
    const torch::Tensor& x = tensors[order_[k]];
    if (!x.defined()) {
      list.push_back(torch::zeros({sizes_[k]}, tensor_options_));
      continue;
    }
    const Parameter& p = parameters_[order_[k]];
    if (x.sizes() != p.tensor.sizes()) {
      throw std::invalid_argument(
          "optimizer: tensor for \"" + p.name + "\" has " + std::to_string(x.numel()) +
          " elements or another shape, expected " + std::to_string(sizes_[k]));
    }
    list.push_back(x.detach().to(tensor_options_).reshape({-1}));
  }
  return torch::cat(list);
}

torch::Tensor FlatOptimizer::weights() const {
  std::vector<torch::Tensor> list;
  list.reserve(count());
  for (const std::size_t i : order_) {
    list.push_back(parameters_[i].tensor.detach().reshape({-1}));
  }
  return torch::cat(list);
}

std::vector<torch::Tensor> FlatOptimizer::pieces(const torch::Tensor& flat) const {
  std::vector<torch::Tensor> views;
  views.reserve(count());
  for (std::size_t k = 0; k < count(); ++k) {
    views.push_back(
        flat.narrow(0, begins_[k], sizes_[k]).view(parameters_[order_[k]].tensor.sizes()));
  }
  return views;
}

torch::Tensor FlatOptimizer::piece_of(const torch::Tensor& flat, std::int64_t parameter) const {
  const auto it = std::ranges::find(order_, static_cast<std::size_t>(parameter));
  require(it != order_.end(), "there is no tensor " + std::to_string(parameter));
  const auto k = static_cast<std::size_t>(it - order_.begin());
  return flat.narrow(0, begins_[k], sizes_[k]).view(parameters_[*it].tensor.sizes());
}

std::vector<torch::Tensor> FlatOptimizer::by_parameter(const torch::Tensor& flat) const {
  std::vector<torch::Tensor> views = pieces(flat), result(count());
  for (std::size_t k = 0; k < count(); ++k) {
    result[order_[k]] = views[k];
  }
  return result;
}

std::vector<double> FlatOptimizer::norms(const torch::Tensor& flat) const {
  std::vector<double> values = square_sums(flat, sizes_);
  std::ranges::transform(values, values.begin(), [](double x) { return std::sqrt(x); });
  return values;
}

bool FlatOptimizer::excluding() const {
  return options_.exclude_1d && options_.method != Method::kSgd &&
         options_.method != Method::kAdamW;
}

torch::Tensor FlatOptimizer::decaying(const torch::Tensor& flat) const {
  return excluding() ? flat.narrow(0, 0, matrices_) : flat;
}

std::vector<double> FlatOptimizer::per_module(const std::vector<double>& values) const {
  std::vector<double> sums(static_cast<std::size_t>(modules_), 0.0);
  for (std::size_t k = 0; k < count(); ++k) {
    sums[static_cast<std::size_t>(parameters_[order_[k]].module)] += values[k] * values[k];
  }
  std::ranges::transform(sums, sums.begin(), [](double x) { return std::sqrt(x); });
  return sums;
}

/// Flattens and clips the gradient. report.applied tells whether the update may go on.
StepInput FlatOptimizer::input_for(const std::vector<torch::Tensor>& grads,
                                   StepReport& report) const {
  StepInput input;
  input.g = flatten(grads);
  input.grad_norm = norms(input.g);
  report.module_grad_norm = per_module(input.grad_norm);
  report.grad_norm = root_sum(input.grad_norm);
  if (options_.clip_norm > 0 && std::isfinite(report.grad_norm)) {
    report.clip_factor = options_.clip_form == ClipForm::kTorch
                             ? math::clip_torch(report.grad_norm, options_.clip_norm)
                             : math::clip_lamb(report.grad_norm, options_.clip_norm);
  }
  report.applied =
      std::isfinite(report.grad_norm) && report.grad_norm * report.clip_factor <= largest_norm();
  if (!report.applied) {
    return input;
  }
  if (report.clip_factor < 1) {
    input.g.mul_(report.clip_factor);
    for (double& n : input.grad_norm) {
      n *= report.clip_factor;
    }
  }
  input.w = weights();
  if (needs_weight_norms() || diagnostics_) {
    input.weight_norm = norms(input.w);
  }
  return input;
}

void FlatOptimizer::set_rates(StepInput& input, double lr, const std::vector<double>& mu) const {
  for (const std::size_t i : order_) {
    input.rate.push_back(lr * mu[static_cast<std::size_t>(parameters_[i].module)]);
  }
}

StepReport FlatOptimizer::step(std::vector<torch::Tensor>& grads,
                               double lr,
                               const std::vector<double>& mu) {
  require(static_cast<std::int64_t>(mu.size()) == modules_,
          "expected " + std::to_string(modules_) + " factors, found " + std::to_string(mu.size()));
  const torch::NoGradGuard no_grad;
  StepReport report;
  StepInput input = input_for(grads, report);
  if (!report.applied) {
    return report;
  }
  set_rates(input, lr, mu);
  const Direction d = advance(state_, input);
  ++state_.t;
  const std::vector<torch::Tensor> change = pieces(d.direction);
  for (std::size_t k = 0; k < count(); ++k) {
    // A factor of 0 is a tensor that must keep its bits.
    if (d.factor[k] != 0) {
      torch::Tensor weight = parameters_[order_[k]].tensor.detach();
      weight.add_(change[k], d.factor[k]);
    }
  }
  report_step(report, input, d, lr, mu);
  return report;
}

std::vector<torch::Tensor> FlatOptimizer::preview(const std::vector<torch::Tensor>& grads) {
  const torch::NoGradGuard no_grad;
  StepReport report;
  StepInput input = input_for(grads, report);
  if (!report.applied) {
    return by_parameter(zeros());
  }
  set_rates(input, 1.0, std::vector<double>(static_cast<std::size_t>(modules_), 1.0));
  State copy = state_.clone();
  const Direction d = advance(copy, input);
  const torch::Tensor change = d.direction.clone();
  for (std::size_t k = 0; k < count(); ++k) {
    change.narrow(0, begins_[k], sizes_[k]).mul_(d.factor[k]);
  }
  return by_parameter(change);
}

void FlatOptimizer::report_step(StepReport& report,
                                const StepInput& input,
                                const Direction& d,
                                double lr,
                                const std::vector<double>& mu) const {
  report.pmd_c = d.pmd_c;
  report.beta1_eff = d.beta1;
  report.beta2_eff = d.beta2;
  report.n_eff_m = d.n_eff_m;
  report.n_eff_v = d.n_eff_v;
  const auto modules = static_cast<std::size_t>(modules_);
  std::vector<double> sum(modules, 0.0), weight(modules, 0.0);
  for (std::size_t k = 0; k < count(); ++k) {
    if (d.adapted[k]) {
      const auto m = static_cast<std::size_t>(parameters_[order_[k]].module);
      sum[m] += d.trust[k] * static_cast<double>(sizes_[k]);
      weight[m] += static_cast<double>(sizes_[k]);
    }
  }
  for (std::size_t m = 0; m < modules; ++m) {
    report.module_trust.push_back(weight[m] > 0 ? sum[m] / weight[m] : 1.0);
    report.module_lr.push_back(lr * mu[m] * report.module_trust[m]);
  }
  if (!diagnostics_) {
    return;
  }
  std::vector<double> update = d.norm.empty() ? norms(d.direction) : d.norm;
  for (std::size_t k = 0; k < count(); ++k) {
    update[k] *= std::abs(d.factor[k]);
  }
  report.module_weight_norm = per_module(input.weight_norm);
  report.module_update_norm = per_module(update);
  const auto mean_norm = [&](const torch::Tensor& x, double mass) {
    std::vector<double> values =
        x.defined() && mass > 0 ? norms(x) : std::vector<double>(count(), 0.0);
    std::ranges::transform(
        values, values.begin(), [&](double n) { return mass > 0 ? n / mass : 0.0; });
    return per_module(values);
  };
  report.module_m_norm = mean_norm(state_.m, state_.mass1);
  report.module_v_norm = mean_norm(state_.v, state_.mass2);
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
