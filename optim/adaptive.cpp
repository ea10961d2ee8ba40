#include "optim/adaptive.h"

#include "optim/outside_decay.h"
#include "optim/schedule.h"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <tuple>

namespace batchscope::optim {

namespace {

/// Updates that the starting guess of v is worth (algorithms.md 10.3).
constexpr int kSeedUpdates = 10;
/// Below this coefficient a PMD period has forgotten its history (algorithms.md 6.3).
constexpr double kForgotten = 1e-3;
/// Square root of the largest float32, about: above it v overflows.
constexpr double kLargestFloatNorm = 1.8e19;

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

std::pair<double, double> AdaptiveOptimizer::divisors(const State& state) const {
  const Blends b = blends(state);
  const bool plain = adapts() && (!options_.bias_correction || options_.folded_bias);
  const double average = adapts() && !options_.grad_averaging ? 1 - options_.beta1 : 1;
  return {average * (plain ? 1 : b.read1.mass(state.mass1)), plain ? 1 : b.read2.mass(state.mass2)};
}

double AdaptiveOptimizer::rate_scale(const State& state) const {
  if (!adapts() || !options_.bias_correction || !options_.folded_bias) {
    return 1;
  }
  const Blends b = blends(state);
  return std::sqrt(b.read2.mass(state.mass2)) / b.read1.mass(state.mass1);
}

void AdaptiveOptimizer::prepare(const State& state, Update& update) const {
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    kernels::Piece& piece = update.pieces[k];
    piece.decay = adapts() && options_.decay != LambDecay::kInside ? 0.0 : decay_of(k);
    piece.factor = -update.rate[k] * rate_scale(state);
    piece.adapts =
        adapts() && !excluded(k) && (options_.weight_decay != 0 || options_.always_adapt);
  }
}

void AdaptiveOptimizer::pass(State& state, Update& update) const {
  const Blends b = blends(state);
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    kernels::Piece& piece = update.pieces[k];
    // Asked of the history before this update; b.c scales it.
    update.skip[k] = dead(state.m, k, update.grad_norm(k), b.c);
    piece.factor = update.skip[k] ? 0.0 : piece.factor;
    // A factor of 0 is a tensor that must keep its bits.
    piece.stores = update.dry || piece.factor == 0;
  }
  std::vector<double> outside(layout_.count(), 0.0);
  for (std::size_t k = 0; k < layout_.count() && adapts(); ++k) {
    outside[k] = decay_of(k);
  }
  OutsideDecay decay(options_.decay, outside, layout_.tensor_options(), update);
  const auto [mass1, mass2] = divisors(state);
  kernels::adaptive_step(dtype(),
                         {.clip = update.clip,
                          .store1 = b.store1,
                          .store2 = b.store2,
                          .read1 = b.read1,
                          .read2 = b.read2,
                          .readout = b.readout,
                          .mass1 = mass1,
                          .mass2 = mass2,
                          .eps = options_.eps,
                          .trust = {options_.trust_clamp, options_.trust_min, options_.trust_max},
                          .norms = update.norms},
                         update.pieces,
                         update.sums);
  decay.finish(update);
}

kernels::DeviceRules AdaptiveOptimizer::device_rules(const State& state) const {
  const Blends b = blends(state);
  if (adapts() && options_.decay != LambDecay::kInside) {
    throw std::invalid_argument(
        "optimizer: weight decay outside the update (decoupled, l2) is for the CPU only");
  }
  kernels::DeviceRules rules;
  rules.adaptive = true;
  rules.store1 = b.store1;
  rules.store2 = b.store2;
  rules.read1 = b.read1;
  rules.read2 = b.read2;
  rules.readout = b.readout;
  std::tie(rules.mass1, rules.mass2) = divisors(state);
  rules.trust = {options_.trust_clamp, options_.trust_min, options_.trust_max};
  rules.skip_dead = adapts() && options_.skip_dead;
  rules.forgotten = b.c < kForgotten;
  return rules;
}

Direction AdaptiveOptimizer::settle(State& state, const Update& update) const {
  const Blends b = blends(state);
  Direction d;
  d.pmd_c = b.c;
  d.beta1 = b.read1.keep;
  d.beta2 = b.read2.keep;
  d.n_eff_m = math::effective_count(b.read1.mass(state.mass1), b.read1.squares(state.squares1));
  d.n_eff_v = math::effective_count(b.read2.mass(state.mass2), b.read2.squares(state.squares2));
  state.mass1 = b.store1.mass(state.mass1);
  state.mass2 = b.store2.mass(state.mass2);
  state.squares1 = b.store1.squares(state.squares1);
  state.squares2 = b.store2.squares(state.squares2);
  const std::int64_t k_now = phase_now(state);
  state.phase = k_now < 0 ? state.phase : (k_now + 1) % options_.pmd_period;
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    const kernels::Piece& piece = update.pieces[k];
    const double free = math::lamb_trust(std::sqrt(update.sums[k].w), std::sqrt(update.sums[k].u));
    d.trust.push_back(piece.trust);
    d.adapted.push_back(piece.adapts && !update.skip[k]);
    d.clamped.push_back(d.adapted.back() && piece.trust != free);
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

std::vector<HalfDots> AdaptiveOptimizer::preconditioned_dots(const std::vector<torch::Tensor>& g1,
                                                             const std::vector<torch::Tensor>& g2,
                                                             double scale) const {
  const torch::NoGradGuard no_grad;
  layout_.check_shapes(g1);
  layout_.check_shapes(g2);
  const auto* v = static_cast<const std::byte*>(state_.v.const_data_ptr());
  const auto bytes = static_cast<std::int64_t>(state_.v.element_size());
  std::vector<HalfDots> dots(layout_.count());
  std::vector<kernels::HalfPiece> pieces;
  std::vector<std::size_t> index;
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    const std::size_t i = layout_.parameter(k);
    const torch::Tensor &a = g1[i], &b = g2[i];
    if (a.defined() && b.defined() && a.is_cpu() && layout_.walkable(a, k) &&
        layout_.walkable(b, k)) {
      pieces.push_back({.a = a.const_data_ptr(),
                        .b = b.const_data_ptr(),
                        .v = v + layout_.begin(k) * bytes,
                        .elements = a.numel()});
      index.push_back(i);
    } else if (a.defined() || b.defined()) {
      const auto p = static_cast<std::int64_t>(i);
      const auto one = [&](const torch::Tensor& g) {
        return g.defined() ? precondition(p, g, scale) : torch::Tensor();
      };
      dots[i] = tensor_dots({one(a)}, {one(b)}).front();
    }
  }
  const math::Blend blend = blends(state_).read2;
  std::vector<kernels::HalfSums> sums(pieces.size());
  kernels::preconditioned_half_products(
      dtype(), pieces, {scale, blend.keep, blend.gain, options_.eps}, sums);
  for (std::size_t j = 0; j < index.size(); ++j) {
    dots[index[j]] = {sums[j].d12, sums[j].d11, sums[j].d22};
  }
  return dots;
}

}  // namespace batchscope::optim
