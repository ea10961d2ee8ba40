#include "optim/flat_optimizer.h"

#include "optim/kernels/update_math.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace batchscope::optim {

namespace {

void require(bool ok, const std::string& what) {
  if (!ok) {
    throw std::invalid_argument("optimizer: " + what);
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
    : options_(options), layout_(parameters, modules), modules_(modules) {
  check_options(options);
}

bool FlatOptimizer::excluding() const {
  return options_.exclude_1d && options_.method != Method::kSgd &&
         options_.method != Method::kAdamW;
}

torch::Tensor FlatOptimizer::decaying(const torch::Tensor& flat) const {
  return excluding() ? flat.narrow(0, 0, layout_.matrices()) : flat;
}

std::vector<double> FlatOptimizer::per_module(const std::vector<double>& values) const {
  std::vector<double> sums(static_cast<std::size_t>(modules_), 0.0);
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    sums[layout_.module(k)] += values[k] * values[k];
  }
  std::ranges::transform(sums, sums.begin(), [](double x) { return std::sqrt(x); });
  return sums;
}

/// Flattens and clips the gradient. report.applied tells whether the update may go on.
StepInput FlatOptimizer::input_for(const std::vector<torch::Tensor>& grads,
                                   StepReport& report) const {
  StepInput input;
  input.g = layout_.flatten(grads);
  input.grad_norm = layout_.norms(input.g);
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
  input.w = layout_.weights();
  if (needs_weight_norms() || diagnostics_) {
    input.weight_norm = layout_.norms(input.w);
  }
  return input;
}

void FlatOptimizer::set_rates(StepInput& input, double lr, const std::vector<double>& mu) const {
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    input.rate.push_back(lr * mu[layout_.module(k)]);
  }
}

std::optional<Direction> FlatOptimizer::direct(StepInput& input,
                                               StepReport& report,
                                               double lr,
                                               const std::vector<double>& mu) {
  if (!report.applied) {
    return std::nullopt;
  }
  set_rates(input, lr, mu);
  Direction d = advance(state_, input);
  ++state_.t;
  report_step(report, input, d, lr, mu);
  return d;
}

StepReport FlatOptimizer::step(std::vector<torch::Tensor>& grads,
                               double lr,
                               const std::vector<double>& mu) {
  require_factors(mu);
  const torch::NoGradGuard no_grad;
  StepReport report;
  StepInput input = input_for(grads, report);
  const auto d = direct(input, report, lr, mu);
  for (std::size_t k = 0; d && k < layout_.count(); ++k) {
    // A factor of 0 is a tensor that must keep its bits.
    if (d->factor[k] != 0) {
      layout_.weight(k).add_(layout_.piece(d->direction, k), d->factor[k]);
    }
  }
  return report;
}

StepReport FlatOptimizer::shadow_step(const std::vector<torch::Tensor>& grads,
                                      double lr,
                                      const std::vector<double>& mu,
                                      std::vector<torch::Tensor>* change) {
  require_factors(mu);
  const torch::NoGradGuard no_grad;
  StepReport report;
  StepInput input = input_for(grads, report);
  if (const auto d = direct(input, report, lr, mu); d && change != nullptr) {
    *change = change_of(*d);
  }
  return report;
}

std::vector<torch::Tensor> FlatOptimizer::preview(const std::vector<torch::Tensor>& grads) {
  const torch::NoGradGuard no_grad;
  StepReport report;
  StepInput input = input_for(grads, report);
  if (!report.applied) {
    return layout_.by_parameter(layout_.zeros());
  }
  set_rates(input, 1.0, std::vector<double>(static_cast<std::size_t>(modules_), 1.0));
  State copy = state_.clone();
  strip_rates(copy);
  return change_of(advance(copy, input));
}

std::vector<torch::Tensor> FlatOptimizer::change_of(const Direction& d) const {
  const torch::Tensor change = d.direction.clone();
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    layout_.piece(change, k).mul_(d.factor[k]);
  }
  return layout_.by_parameter(change);
}

void FlatOptimizer::require_factors(const std::vector<double>& mu) const {
  require(static_cast<std::int64_t>(mu.size()) == modules_,
          "expected " + std::to_string(modules_) + " factors, found " + std::to_string(mu.size()));
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
  report.tensor_trust.assign(layout_.count(), 1.0);
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    if (d.adapted[k]) {
      const auto m = layout_.module(k);
      report.tensor_trust[layout_.parameter(k)] = d.trust[k];
      sum[m] += d.trust[k] * static_cast<double>(layout_.size(k));
      weight[m] += static_cast<double>(layout_.size(k));
    }
  }
  for (std::size_t m = 0; m < modules; ++m) {
    report.module_trust.push_back(weight[m] > 0 ? sum[m] / weight[m] : 1.0);
    report.module_lr.push_back(lr * mu[m] * report.module_trust[m]);
  }
  report.module_clamped.assign(modules, 0.0);
  for (std::size_t k = 0; k < d.clamped.size(); ++k) {
    report.module_clamped[layout_.module(k)] += d.clamped[k] ? 1 : 0;
  }
  if (!diagnostics_) {
    return;
  }
  std::vector<double> update = d.norm.empty() ? layout_.norms(d.direction) : d.norm;
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    update[k] *= std::abs(d.factor[k]);
  }
  report.module_weight_norm = per_module(input.weight_norm);
  report.module_update_norm = per_module(update);
  report_tensors(report, input, update);
  const auto mean_norm = [&](const torch::Tensor& x, double mass) {
    std::vector<double> values =
        x.defined() && mass > 0 ? layout_.norms(x) : std::vector<double>(layout_.count(), 0.0);
    std::ranges::transform(
        values, values.begin(), [&](double n) { return mass > 0 ? n / mass : 0.0; });
    return per_module(values);
  };
  report.module_m_norm = mean_norm(state_.m, state_.mass1);
  report.module_v_norm = mean_norm(state_.v, state_.mass2);
}

void FlatOptimizer::report_tensors(StepReport& report,
                                   const StepInput& input,
                                   const std::vector<double>& update) const {
  const auto ordered = [&](const std::vector<double>& values) {
    std::vector<double> out(layout_.count());
    for (std::size_t k = 0; k < layout_.count(); ++k) {
      out[layout_.parameter(k)] = values[k];
    }
    return out;
  };
  report.tensors = {ordered(input.grad_norm), ordered(input.weight_norm), ordered(update)};
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
