#include "optim/momentum.h"

#include "optim/kernels/update_math.h"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

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

void MomentumOptimizer::prepare(const State& state, Update& update) const {
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    kernels::Piece& piece = update.pieces[k];
    piece.decay = decay_of(k);
    piece.keep = blend(state).keep;
    piece.factor = pre() ? -1.0 : -update.rate[k];
    piece.adapts = lars() && !excluded(k) && scales();
    // A factor of 0 is a tensor that must keep its bits.
    piece.stores = update.dry || piece.factor == 0;
  }
}

void MomentumOptimizer::pass(State& state, Update& update) const {
  if (lars()) {
    scale_contribution(state, update);
  }
  kernels::momentum_step(dtype(),
                         {.clip = update.clip,
                          .gain = blend(state).gain,
                          .own = options_.nesterov ? 1.0 : 0.0,
                          .buffer = options_.nesterov ? options_.momentum : 1.0,
                          .norms = update.norms},
                         update.pieces,
                         update.sums);
}

void MomentumOptimizer::scale_contribution(const State& state, Update& update) const {
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    kernels::Piece& piece = update.pieces[k];
    const double grad_norm = update.grad_norm(k);
    const double weight_norm = std::sqrt(update.sums[k].w);
    const bool zero = grad_norm == 0 || weight_norm == 0;
    const bool untouched = options_.compat_untouched && zero && !excluded(k);
    update.skip[k] = grad_norm == 0 && !options_.compat_ratio1 && !options_.compat_untouched;
    piece.decay = untouched ? 0.0 : piece.decay;
    piece.adapts = piece.adapts && !update.skip[k] && !untouched;
    if (piece.adapts) {
      piece.trust = local_ratio(weight_norm, grad_norm);
      piece.trust = options_.lars_clip ? std::min(piece.trust / update.rate[k], 1.0) : piece.trust;
    }
    const double rate = pre() ? update.rate[k] : 1.0;
    piece.scale = update.skip[k] ? 0.0 : piece.trust * rate;
    if (!update.skip[k] && pre() && rate > 0 && state.folded[k] == 0) {
      piece.keep *= rate;  // the buffer held no rate so far
    }
  }
}

kernels::DeviceRules MomentumOptimizer::device_rules(const State& state) const {
  if (lars() && options_.compat_untouched) {
    throw std::invalid_argument("optimizer: LARS's compat_untouched is for the CPU only");
  }
  kernels::DeviceRules rules;
  rules.keep = blend(state).keep;
  rules.gain = blend(state).gain;
  rules.own = options_.nesterov ? 1.0 : 0.0;
  rules.buffer = options_.nesterov ? options_.momentum : 1.0;
  rules.lars = lars();
  rules.lars_pre = pre();
  rules.lars_clip = options_.lars_clip;
  rules.compat_ratio1 = options_.compat_ratio1;
  rules.trust_coefficient = options_.trust_coefficient;
  return rules;
}

Direction MomentumOptimizer::settle(State& state, const Update& update) const {
  Direction d;
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    d.trust.push_back(update.pieces[k].trust);
    d.adapted.push_back(update.pieces[k].adapts);
    d.clamped.push_back(d.adapted.back() && options_.lars_clip && d.trust.back() == 1);
    // Without a gradient the buffer only decays; what its ratio was stays true.
    if (!lars() || update.skip[k]) {
      continue;
    }
    state.ratio[k] = update.pieces[k].trust;
    if (pre() && update.rate[k] > 0) {
      state.folded[k] = update.rate[k];
    }
  }
  const math::Blend now = blend(state);
  state.mass1 = now.mass(state.mass1);
  state.squares1 = now.squares(state.squares1);
  d.beta1 = options_.momentum;
  d.n_eff_m = math::effective_count(state.mass1, state.squares1);
  return d;
}

bool MomentumOptimizer::scales() const {
  return options_.weight_decay != 0 || options_.lars_always_adapt;
}

double MomentumOptimizer::local_ratio(double weight_norm, double grad_norm) const {
  return math::lars_ratio(options_.trust_coefficient,
                          weight_norm,
                          grad_norm,
                          options_.lars_decay_in_ratio ? options_.weight_decay : 0.0,
                          options_.eps);
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
    state_.ratio[k] = scales() ? local_ratio(weight[k], grad[k]) : 1.0;
    // Decay alone at ratio 1 would be a jump of 1/tc.
    buffers[k].mul_(grad[k] > 0 ? state_.ratio[k] : 0.0);
  }
}

torch::Tensor MomentumOptimizer::precondition(std::int64_t /*parameter*/,
                                              const torch::Tensor& grad,
                                              double /*scale*/) const {
  return grad;
}

std::vector<HalfDots> MomentumOptimizer::preconditioned_dots(const std::vector<torch::Tensor>& g1,
                                                             const std::vector<torch::Tensor>& g2,
                                                             double /*scale*/) const {
  return tensor_dots(g1, g2);
}

}  // namespace batchscope::optim
