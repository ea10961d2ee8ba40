#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

/// The formulas of the optimizers on plain numbers; what runs over tensors is built on them.
namespace batchscope::optim::math {

/// Factor on the gradient: min(1, max/(norm + 1e-6)), the form of clip_grad_norm_.
inline double clip_torch(double norm, double max_norm) {
  return std::min(1.0, max_norm / (norm + 1e-6));
}
/// Factor on the gradient: 1/max(1, norm/max), the form of LAMB.
inline double clip_lamb(double norm, double max_norm) {
  return 1.0 / std::max(1.0, norm / max_norm);
}

/// How a moment takes the next gradient: x <- keep·x + gain·g. The same on a mass (g = 1).
struct Blend {
  double keep = 0, gain = 1;
  double mass(double before) const { return keep * before + gain; }
  /// Sum of squared weights of the gradients in the moment.
  double squares(double before) const { return keep * keep * before + gain * gain; }
};
/// Plain exponential mean.
inline Blend blend(double beta) {
  return {beta, 1 - beta};
}
/// PMD-LAMB moment_scale (and the reading of readout): history scaled by c.
inline Blend blend_moment_scale(double beta, double c) {
  return {c * beta, 1 - beta};
}
/// PMD-LAMB beta_scale: beta itself scaled by c.
inline Blend blend_beta_scale(double beta, double c) {
  return {c * beta, 1 - c * beta};
}

/// Effective number of gradients in a mean: (sum of weights)^2 / sum of squared weights; 0 if none.
inline double effective_count(double mass, double squares) {
  return squares > 0 ? mass * mass / squares : 0.0;
}
/// Sum of squared weights of an exponential mean that has mass `mass`.
inline double squares_of_mass(double mass, double beta) {
  return (1 - beta) / (1 + beta) * mass * (2 - mass);
}

/// LAMB's trust ratio |w|/|u|; 1 where a norm is zero.
inline double lamb_trust(double weight_norm, double update_norm) {
  return weight_norm > 0 && update_norm > 0 ? weight_norm / update_norm : 1.0;
}
/// LARS's local ratio tc·|w| / (|g| + lambda·|w| + eps); 1 where a norm is zero.
inline double lars_ratio(
    double tc, double weight_norm, double grad_norm, double decay, double eps) {
  return weight_norm > 0 && grad_norm > 0
             ? tc * weight_norm / (grad_norm + decay * weight_norm + eps)
             : 1.0;
}

/// Mass S of SGD's buffer after one more update; the first one counts 1 (algorithms.md 10.2).
inline Blend sgd_blend(double momentum, double dampening, double mass) {
  if (mass == 0 || momentum == 0) {
    return {0, 1};
  }
  return {momentum, 1 - dampening};
}
/// Mass M1 of the mean gradient in a buffer of mass S, at most 1.
inline double mass_from_sgd(double s, double momentum, double dampening) {
  return std::min(1.0, s * (1 - momentum) / (1 - dampening));
}

/// Phase of a PMD period of length `to` that stands where phase k of length `from` stands.
inline std::int64_t rescaled_phase(std::int64_t k, std::int64_t from, std::int64_t to) {
  return k * to / from;
}

/// Factor n updates after a switch: geometric from start to 1 over `length` updates.
inline double geometric_ramp(double start, std::int64_t n, std::int64_t length) {
  return std::pow(start, 1.0 - static_cast<double>(n) / static_cast<double>(length));
}

}  // namespace batchscope::optim::math
