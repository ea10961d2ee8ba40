#pragma once

#include "optim/kernels/update_math.h"

#include <cstdint>

/// Loops over one block of dense memory on the CPU, T float or double. Sums are float64 and have a
/// fixed order for a given length. Compiled for BATCHSCOPE_ISA; no torch, few templates of the
/// standard library, so that no code of that instruction set leaks into the rest of the program.
namespace batchscope::optim::kernels {

/// Sums of squares: of gradient, weight before the update, direction, and moments after it.
struct Sums {
  double g = 0, w = 0, u = 0, m = 0, v = 0;
};

/// Products of the halves of a gradient, and the sum of squares of their mean.
struct HalfSums {
  double d12 = 0, d11 = 0, d22 = 0, mean = 0;
};

/// What a pass does with the direction.
enum class Direction {
  kApply,  // w += factor·direction
  kStore   // g = direction; w stays
};

template <typename T>
double squares_block(const T* x, std::int64_t n);

template <typename T>
struct MomentumBlock {
  T* w;
  T* g;
  T* m;
  std::int64_t n;
  T factor;
};
/// sums: w, u, m are added if `norms`.
template <typename T>
void momentum_block(const MomentumBlock<T>& block,
                    const math::MomentumElement<T>& element,
                    Direction direction,
                    bool norms,
                    Sums& sums);

template <typename T>
struct AdaptiveBlock {
  T* w;
  T* g;
  T* m;
  T* v;
  std::int64_t n;
  T factor;
};
/// What one pass over a block does.
struct AdaptiveUse {
  bool readout = false;
  Direction direction = Direction::kApply;
  bool norms = false;      // m, v are summed; w and u then, or when the direction is stored
  bool for_trust = false;  // stored directions: w and u are summed in T, in short runs
};
template <typename T>
void adaptive_block(const AdaptiveBlock<T>& block,
                    const math::AdaptiveElement<T>& element,
                    const AdaptiveUse& use,
                    Sums& sums);

/// w += factor·u
template <typename T>
void apply_block(T* w, const T* u, std::int64_t n, T factor);

/// One block of both halves; mean may be null, or a.
template <typename T>
struct HalfBlock {
  const T* a;
  const T* b;
  T* mean;
  const T* v;
  std::int64_t n;
};
template <typename T>
void half_block(const HalfBlock<T>& block, double weight, HalfSums& sums);
/// d12, d11, d22 of the preconditioned halves (block.v).
template <typename T>
void preconditioned_half_block(const HalfBlock<T>& block,
                               const math::Preconditioner<T>& preconditioner,
                               HalfSums& sums);

}  // namespace batchscope::optim::kernels
