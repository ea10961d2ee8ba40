#include "optim/momentum.h"

#include "optim/kernels/update_math.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace batchscope::optim {

namespace {

/// Bound of the factor that takes a LARS ratio out of a buffer (algorithms.md 10.2).
constexpr double kLargestInverse = 1e4;

}  // namespace

MomentumOptimizer::MomentumOptimizer(const Options& options,
                                     const std::vector<Parameter>& parameters,
                                     std::int64_t modules)
    : FlatOptimizer(options, parameters, modules) {
  reset();
}

void MomentumOptimizer::reset() {
  const std::int64_t t = state_.t;
  state_ = State{};
  state_.t = t;
  state_.m = layout_.zeros();
  state_.ratio.assign(layout_.count(), 1.0);
  state_.folded.assign(layout_.count(), 0.0);
}

double MomentumOptimizer::largest_norm() const {
  return std::numeric_limits<double>::max();
}

Direction MomentumOptimizer::advance(State& state, StepInput& input) const {
  Direction d;
  d.trust.assign(layout_.count(), 1.0);
  d.adapted.assign(layout_.count(), false);
  d.clamped.assign(layout_.count(), false);
  for (const double rate : input.rate) {
    d.factor.push_back(pre() ? -1.0 : -rate);
  }
  // d = g + lambda·w
  torch::Tensor contribution = input.g;
  if (options_.weight_decay != 0) {
    decaying(contribution).add_(decaying(input.w), options_.weight_decay);
  }
  if (lars()) {
    scale_contribution(state, input, d);
  }
  const math::Blend blend = math::sgd_blend(options_.momentum, options_.dampening, state.mass1);
  if (blend.keep == 0) {
    state.m.copy_(contribution);
  } else {
    state.m.mul_(blend.keep).add_(contribution, blend.gain);
  }
  state.mass1 = blend.mass(state.mass1);
  state.squares1 = blend.squares(state.squares1);
  d.direction = options_.nesterov ? contribution.add_(state.m, options_.momentum) : state.m;
  d.beta1 = options_.momentum;
  d.n_eff_m = math::effective_count(state.mass1, state.squares1);
  return d;
}

void MomentumOptimizer::scale_contribution(State& state, StepInput& input, Direction& d) const {
  const auto contributions = layout_.pieces(input.g), buffers = layout_.pieces(state.m);
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    double ratio = 1;
    const bool silent = input.grad_norm[k] == 0 && !options_.compat_ratio1;
    if (!excluded(k) && !silent) {
      ratio = math::lars_ratio(options_.trust_coefficient,
                               input.weight_norm[k],
                               input.grad_norm[k],
                               options_.weight_decay,
                               options_.eps);
      if (options_.lars_clip) {
        ratio /= input.rate[k];
        d.clamped[k] = ratio > 1;
        ratio = std::min(ratio, 1.0);
      }
      d.trust[k] = ratio;
      d.adapted[k] = true;
    }
    const double rate = pre() ? input.rate[k] : 1.0;
    contributions[k].mul_(silent ? 0.0 : ratio * rate);
    if (silent) {
      // The buffer only decays; what its ratio was stays true.
      continue;
    }
    if (pre() && rate > 0) {
      if (state.folded[k] == 0) {
        buffers[k].mul_(rate);
      }
      state.folded[k] = rate;
    }
    state.ratio[k] = ratio;
  }
}

void MomentumOptimizer::options_change(const Options& next) {
  if (!pre() || next.lars_pre) {
    return;
  }
  const auto buffers = layout_.pieces(state_.m);
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    if (state_.folded[k] > 0) {
      buffers[k].div_(state_.folded[k]);
    }
    state_.folded[k] = 0;
  }
}

void MomentumOptimizer::strip_rates(State& state) const {
  const auto buffers = layout_.pieces(state.m);
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    if (state.folded[k] > 0) {
      buffers[k].div_(state.folded[k]);
      state.folded[k] = 1;
    }
  }
}

std::vector<CanonicalState> MomentumOptimizer::canonical() const {
  const torch::NoGradGuard no_grad;
  if (state_.mass1 == 0) {
    return std::vector<CanonicalState>(layout_.count());
  }
  Means means;
  const double dampening = options_.momentum == 0 ? 0.0 : options_.dampening;
  means.mass1 = math::mass_from_sgd(state_.mass1, options_.momentum, dampening);
  const double scale = means.mass1 / state_.mass1;
  means.squares1 = state_.squares1 * scale * scale;
  means.m = state_.m / state_.mass1;
  std::vector<bool> dropped(layout_.count(), false);
  const auto mean = layout_.pieces(means.m);
  for (std::size_t k = 0; k < layout_.count() && lars(); ++k) {
    const double held = state_.ratio[k] * (state_.folded[k] > 0 ? state_.folded[k] : 1.0);
    dropped[k] = !(std::isfinite(held) && state_.ratio[k] > 0);
    const double inverse = std::min(1 / state_.ratio[k], kLargestInverse);
    mean[k].mul_(dropped[k] ? 0.0 : inverse * state_.ratio[k] / held);
  }
  // The memory of the buffer is short, so the decay term in it is lambda·w with today's w.
  decaying(means.m).sub_(decaying(layout_.weights()), options_.weight_decay);
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    if (dropped[k]) {
      mean[k].zero_();
    }
  }
  return canonical_of(means);
}

void MomentumOptimizer::set_canonical(const std::vector<CanonicalState>& list) {
  const torch::NoGradGuard no_grad;
  reset();
  if (list.empty()) {
    return;
  }
  const Means means = means_of(list);
  if (!means.m.defined()) {
    return;
  }
  const double dampening = options_.momentum == 0 ? 0.0 : options_.dampening;
  const double grow = (1 - dampening) / (1 - options_.momentum);
  state_.mass1 = means.mass1 * grow;
  const double squares =
      means.squares1 > 0 ? means.squares1 : math::squares_of_mass(means.mass1, options_.momentum);
  state_.squares1 = squares * grow * grow;
  const std::vector<double> grad = lars() ? layout_.norms(means.m) : std::vector<double>();
  const torch::Tensor w = layout_.weights();
  const std::vector<double> weight = lars() ? layout_.norms(w) : std::vector<double>();
  state_.m.copy_(means.m);
  decaying(state_.m).add_(decaying(w), options_.weight_decay);
  state_.m.mul_(state_.mass1);
  const auto buffers = layout_.pieces(state_.m);
  for (std::size_t k = 0; k < layout_.count() && lars(); ++k) {
    if (excluded(k)) {
      continue;
    }
    state_.ratio[k] = math::lars_ratio(
        options_.trust_coefficient, weight[k], grad[k], options_.weight_decay, options_.eps);
    // Decay alone at ratio 1 would be a jump of 1/tc.
    buffers[k].mul_(grad[k] > 0 ? state_.ratio[k] : 0.0);
  }
}

torch::Tensor MomentumOptimizer::precondition(std::int64_t /*parameter*/,
                                              const torch::Tensor& grad,
                                              double /*scale*/) const {
  return grad;
}

}  // namespace batchscope::optim
