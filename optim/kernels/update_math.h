#pragma once

#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define BATCHSCOPE_BOTH __host__ __device__
#else
#define BATCHSCOPE_BOTH
#endif

/// The formulas of the optimizers on plain numbers, for host and device (C++17, since nvcc reads
/// it too); what runs over tensors is built on them.
namespace batchscope::optim::math {

/// Factor on the gradient: min(1, max/(norm + 1e-6)), the form of clip_grad_norm_.
BATCHSCOPE_BOTH inline double clip_torch(double norm, double max_norm) {
  const double factor = max_norm / (norm + 1e-6);
  return factor < 1.0 ? factor : 1.0;
}
/// Factor on the gradient: 1/max(1, norm/max), the form of LAMB.
BATCHSCOPE_BOTH inline double clip_lamb(double norm, double max_norm) {
  const double excess = norm / max_norm;
  return excess > 1.0 ? 1.0 / excess : 1.0;
}

/// How a moment takes the next gradient: x <- keep·x + gain·g. The same on a mass (g = 1).
struct Blend {
  double keep = 0, gain = 1;
  double mass(double before) const { return keep * before + gain; }
  /// Sum of squared weights of the gradients in the moment.
  double squares(double before) const { return keep * keep * before + gain * gain; }
};

/// One element of SGD and LARS, numbers of the state's type.
template <typename T>
struct MomentumElement {
  T clip;         // on the gradient
  T decay;        // lambda
  T scale;        // on the contribution g + lambda·w: LARS's ratio
  T keep, gain;   // of the buffer
  T own, buffer;  // direction = own·contribution + buffer·m: (0, 1), nesterov (1, momentum)
};
/// Takes g into the buffer and returns the direction; w <- w - lr·direction.
template <typename T>
BATCHSCOPE_BOTH inline T momentum_direction(T g, T w, T& m, const MomentumElement<T>& c) {
  const T contribution = c.scale * (c.clip * g + c.decay * w);
  m = c.keep * m + c.gain * contribution;
  return c.own * contribution + c.buffer * m;
}

/// One element of AdamW, LAMB and PMD-LAMB, numbers of the state's type.
template <typename T>
struct AdaptiveElement {
  T clip;
  T keep1, gain1, keep2, gain2;                      // what is stored
  T read_keep1, read_gain1, read_keep2, read_gain2;  // what the step reads (readout alone)
  T mass1, inverse_mass2;                            // of what is read
  T eps;
  T decay;  // lambda
};
/// The numbers of a pass (a step's or a launch's: members store1, … decay as below) for one tensor.
template <typename T, typename Pass>
BATCHSCOPE_BOTH inline AdaptiveElement<T> adaptive_element(const Pass& pass,
                                                           double clip,
                                                           double decay) {
  return {static_cast<T>(clip),
          static_cast<T>(pass.store1.keep),
          static_cast<T>(pass.store1.gain),
          static_cast<T>(pass.store2.keep),
          static_cast<T>(pass.store2.gain),
          static_cast<T>(pass.read1.keep),
          static_cast<T>(pass.read1.gain),
          static_cast<T>(pass.read2.keep),
          static_cast<T>(pass.read2.gain),
          static_cast<T>(pass.mass1),
          static_cast<T>(1 / pass.mass2),
          static_cast<T>(pass.eps),
          static_cast<T>(decay)};
}
/// Takes g into the moments and returns u = mhat / (sqrt(vhat) + eps) + lambda·w.
template <bool kReadout, typename T>
BATCHSCOPE_BOTH inline T adaptive_direction(T g, T w, T& m, T& v, const AdaptiveElement<T>& c) {
  using std::sqrt;
  const T x = c.clip * g;
  const T m_next = c.keep1 * m + c.gain1 * x;
  const T v_next = c.keep2 * v + c.gain2 * (x * x);
  T m_read = m_next, v_read = v_next;
  if (kReadout) {
    m_read = c.read_keep1 * m + c.read_gain1 * x;
    v_read = c.read_keep2 * v + c.read_gain2 * (x * x);
  }
  m = m_next;
  v = v_next;
  return m_read / ((sqrt(v_read * c.inverse_mass2) + c.eps) * c.mass1) + c.decay * w;
}

/// How AGVM preconditions a gradient: g / (sqrt(keep·v + gain·g²) + eps) of g = scale·gradient
/// (algorithms.md 2.5).
template <typename T>
struct Preconditioner {
  T scale, keep, gain, eps;
};
template <typename T>
BATCHSCOPE_BOTH inline T preconditioned(T gradient, T v, const Preconditioner<T>& c) {
  using std::sqrt;
  const T g = c.scale * gradient;
  return g / (sqrt(c.keep * v + c.gain * (g * g)) + c.eps);
}

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
BATCHSCOPE_BOTH inline double lamb_trust(double weight_norm, double update_norm) {
  return weight_norm > 0 && update_norm > 0 ? weight_norm / update_norm : 1.0;
}
/// Bounds of the trust ratio, where both norms are above zero.
struct TrustRule {
  bool clamp = false;
  double low = 0, high = 0;
};
BATCHSCOPE_BOTH inline double bounded_trust(double weight_norm,
                                            double update_norm,
                                            const TrustRule& rule) {
  const double r = lamb_trust(weight_norm, update_norm);
  if (!rule.clamp || !(weight_norm > 0) || !(update_norm > 0)) {
    return r;
  }
  return r < rule.low ? rule.low : (r > rule.high ? rule.high : r);
}
/// LARS's local ratio tc·|w| / (|g| + lambda·|w| + eps); 1 where a norm is zero.
BATCHSCOPE_BOTH inline double lars_ratio(
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
  const double mass = s * (1 - momentum) / (1 - dampening);
  return mass < 1.0 ? mass : 1.0;
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
