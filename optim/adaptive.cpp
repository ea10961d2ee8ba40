#include "optim/adaptive.h"

#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace batchscope::optim {

namespace {

/// Updates that the starting guess of v is worth (algorithms.md 10.3).
constexpr int kSeedUpdates = 10;
/// Below this coefficient a PMD period has forgotten its history (algorithms.md 6.3).
constexpr double kForgotten = 1e-3;
/// Square root of the largest float32, about: above it v overflows.
constexpr double kLargestFloatNorm = 1.8e19;

torch::Tensor blended(const torch::Tensor& moment, const torch::Tensor& g, math::Blend b) {
  return torch::mul(moment, b.keep).add_(g, b.gain);
}
torch::Tensor blended_square(const torch::Tensor& moment, const torch::Tensor& g, math::Blend b) {
  return torch::mul(moment, b.keep).addcmul_(g, g, b.gain);
}

}  // namespace

AdaptiveOptimizer::AdaptiveOptimizer(const Options& options,
                                     const std::vector<Parameter>& parameters,
                                     std::int64_t modules)
    : FlatOptimizer(options, parameters, modules) {
  reset();
}

void AdaptiveOptimizer::reset() {
  const std::int64_t t = state_.t;
  state_ = State{};
  state_.t = t;
  state_.m = layout_.zeros();
  state_.v = layout_.zeros();
}

double AdaptiveOptimizer::largest_norm() const {
  return state_.m.scalar_type() == torch::kDouble ? std::numeric_limits<double>::max()
                                                  : kLargestFloatNorm;
}

std::int64_t AdaptiveOptimizer::phase_now(const State& state) const {
  if (options_.method != Method::kPmdLamb) {
    return -1;
  }
  if (state.phase < 0 && state.t >= options_.pmd_start) {
    return 0;
  }
  return state.phase;
}

AdaptiveOptimizer::Blends AdaptiveOptimizer::blends(const State& state) const {
  Blends b;
  b.store1 = math::blend(options_.beta1);
  b.store2 = math::blend(options_.beta2);
  const std::int64_t k = phase_now(state);
  if (k >= 0) {
    b.c = pmd_coefficient(
        k, options_.pmd_period, options_.pmd_curve == PmdCurve::kCosine, options_.pmd_hit_zero);
    b.readout = options_.pmd_variant == PmdVariant::kReadout;
    const auto scaled = options_.pmd_variant == PmdVariant::kBetaScale ? math::blend_beta_scale
                                                                       : math::blend_moment_scale;
    b.read1 = scaled(options_.beta1, b.c);
    b.read2 = scaled(options_.beta2, b.c);
  } else {
    b.read1 = b.store1;
    b.read2 = b.store2;
  }
  if (!b.readout) {
    b.store1 = b.read1;
    b.store2 = b.read2;
  }
  return b;
}

bool AdaptiveOptimizer::dead(const torch::Tensor& m,
                             std::size_t k,
                             double grad_norm,
                             double c) const {
  return adapts() && options_.skip_dead && grad_norm == 0 &&
         (c < kForgotten || !layout_.piece(m, k).any().item<bool>());
}

double AdaptiveOptimizer::trust(double weight_norm, double update_norm) const {
  const double r = math::lamb_trust(weight_norm, update_norm);
  if (options_.trust_clamp && weight_norm > 0 && update_norm > 0) {
    return std::clamp(r, options_.trust_min, options_.trust_max);
  }
  return r;
}

Direction AdaptiveOptimizer::advance(State& state, StepInput& input) const {
  const Blends b = blends(state);
  Direction d;
  d.pmd_c = b.c;
  d.beta1 = b.read1.keep;
  d.beta2 = b.read2.keep;
  d.trust.assign(layout_.count(), 1.0);
  d.adapted.assign(layout_.count(), false);
  d.clamped.assign(layout_.count(), false);
  std::vector<bool> skip(layout_.count(), false);
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    // Asked of the history before this update; b.c scales it.
    skip[k] = dead(state.m, k, input.grad_norm[k], b.c);
  }
  double mass1 = b.read1.mass(state.mass1), mass2 = b.read2.mass(state.mass2);
  d.n_eff_m = math::effective_count(mass1, b.read1.squares(state.squares1));
  d.n_eff_v = math::effective_count(mass2, b.read2.squares(state.squares2));
  torch::Tensor m = state.m, v = state.v;
  if (b.readout) {
    m = blended(state.m, input.g, b.read1);
    v = blended_square(state.v, input.g, b.read2);
  }
  state.m.mul_(b.store1.keep).add_(input.g, b.store1.gain);
  state.v.mul_(b.store2.keep).addcmul_(input.g, input.g, b.store2.gain);
  state.mass1 = b.store1.mass(state.mass1);
  state.mass2 = b.store2.mass(state.mass2);
  state.squares1 = b.store1.squares(state.squares1);
  state.squares2 = b.store2.squares(state.squares2);
  const std::int64_t k_now = phase_now(state);
  state.phase = k_now < 0 ? state.phase : (k_now + 1) % options_.pmd_period;

  // u = mhat / (sqrt(vhat) + eps) + lambda·w
  if (adapts() && !options_.bias_correction) {
    mass1 = mass2 = 1;
  }
  d.direction = torch::div(m, torch::div(v, mass2).sqrt_().add_(options_.eps).mul_(mass1));
  if (options_.weight_decay != 0) {
    decaying(d.direction).add_(decaying(input.w), options_.weight_decay);
  }
  if (adapts()) {
    d.norm = layout_.norms(d.direction);
  }
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    if (adapts() && !excluded(k) && (options_.weight_decay != 0 || options_.always_adapt)) {
      d.trust[k] = trust(input.weight_norm[k], d.norm[k]);
      d.adapted[k] = !skip[k];
      d.clamped[k] = !skip[k] && d.trust[k] != math::lamb_trust(input.weight_norm[k], d.norm[k]);
    }
    d.factor.push_back(skip[k] ? 0.0 : -input.rate[k] * d.trust[k]);
  }
  return d;
}

void AdaptiveOptimizer::options_change(const Options& next) {
  if (state_.phase > 0 && next.pmd_period != options_.pmd_period) {
    state_.phase = math::rescaled_phase(state_.phase, options_.pmd_period, next.pmd_period);
  }
}

std::vector<CanonicalState> AdaptiveOptimizer::canonical() const {
  const torch::NoGradGuard no_grad;
  if (state_.mass1 == 0) {
    return std::vector<CanonicalState>(layout_.count());
  }
  Means means{state_.m / state_.mass1, torch::Tensor(), state_.mass1, 0, state_.squares1, 0};
  if (state_.mass2 > 0) {
    means.v = state_.v / state_.mass2;
    means.mass2 = state_.mass2;
    means.squares2 = state_.squares2;
  }
  return canonical_of(means);
}

void AdaptiveOptimizer::set_canonical(const std::vector<CanonicalState>& list) {
  const torch::NoGradGuard no_grad;
  reset();
  state_.phase = 0;
  if (list.empty()) {
    return;
  }
  Means means = means_of(list);
  if (!means.m.defined()) {
    return;
  }
  if (!means.v.defined()) {
    // A prior worth ten updates, above which |mhat|/sqrt(vhat) < 1 holds for every element.
    means.v = means.m.square();
    for (const torch::Tensor& piece : layout_.pieces(means.v)) {
      if (piece.numel() > 0) {
        piece.add_(piece.mean());
      }
    }
    means.mass2 = 1 - std::pow(options_.beta2, kSeedUpdates);
    means.squares2 = 0;
  }
  const auto squares = [](double known, double mass, double beta) {
    return known > 0 ? known : math::squares_of_mass(mass, beta);
  };
  state_.mass1 = means.mass1;
  state_.mass2 = means.mass2;
  state_.squares1 = squares(means.squares1, means.mass1, options_.beta1);
  state_.squares2 = squares(means.squares2, means.mass2, options_.beta2);
  state_.m = means.m.mul_(means.mass1);
  state_.v = means.v.mul_(means.mass2);
}

void AdaptiveOptimizer::adopt(const AdaptiveOptimizer& from) {
  if (from.state_.m.sizes() != state_.m.sizes()) {
    throw std::invalid_argument("optimizer: the states of other tensors cannot be taken over");
  }
  const std::int64_t t = state_.t;
  state_ = from.state_.clone();
  state_.t = t;
  state_.phase = 0;
}

torch::Tensor AdaptiveOptimizer::precondition(std::int64_t parameter,
                                              const torch::Tensor& grad,
                                              double scale) const {
  const torch::NoGradGuard no_grad;
  const torch::Tensor v = layout_.piece_of(state_.v, parameter);
  const torch::Tensor g = grad.to(v.scalar_type()) * scale;
  // v as it will be after this update, without bias correction (algorithms.md 2.5).
  return g / blended_square(v, g, blends(state_).read2).sqrt_().add_(options_.eps);
}

}  // namespace batchscope::optim
