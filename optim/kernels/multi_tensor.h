#pragma once

#include "optim/kernels/block_kernels.h"
#include "optim/kernels/update_math.h"

#include <cstdint>
#include <span>

/// Passes over all tensors of an optimizer at once. Memory is dense, and the elements of w, g, m
/// and v stand in one order. Sums are taken over fixed blocks and added in a fixed order, so every
/// result has the same bits for every number of threads. Each pass walks the tensors against the
/// order of the pass before it, so that it begins with what is still in cache.
namespace batchscope::optim::kernels {

enum class Dtype { kFloat32, kFloat64 };

/// One tensor. What a pass does not need may be null.
struct Piece {
  void* w = nullptr;
  void* g = nullptr;  // becomes the direction when `stores`, and where the trust ratio needs it
  void* m = nullptr;
  void* v = nullptr;
  std::int64_t elements = 0;
  double decay = 0;
  double keep = 0, scale = 1;  // momentum_step: of the buffer, on the contribution
  double factor = 0;           // weights change by factor·direction; a trust ratio multiplies it
  bool adapts = false;         // adaptive_step: takes a trust ratio
  bool stores = false;         // leaves the direction in g and the weights alone
  double trust = 1;            // out
};

struct MomentumStep {
  double clip = 1, gain = 1;
  double own = 0, buffer = 1;  // direction = own·contribution + buffer·m
  bool norms = false;          // also the sums of w, u, m
};

struct AdaptiveStep {
  double clip = 1;
  math::Blend store1, store2, read1, read2;
  bool readout = false;  // the step reads other moments than it stores
  double mass1 = 1, mass2 = 1;
  double eps = 1e-8;
  math::TrustRule trust;
  bool norms = false;  // also the sums of w, u, m, v
};

/// One tensor of two halves of a gradient.
struct HalfPiece {
  const void* a = nullptr;
  const void* b = nullptr;
  void* mean = nullptr;  // null: not written; may be a
  const void* v = nullptr;
  std::int64_t elements = 0;
};

/// Sets sums[k].g, and sums[k].w if `weights`. Reads 4 (8) bytes per element of float32.
void measure(Dtype dtype, std::span<const Piece> pieces, bool weights, std::span<Sums> sums);

/// One update of SGD or LARS: 20 bytes per element of float32. Sums of w, u, m if asked; those of g
/// are left alone.
void momentum_step(Dtype dtype,
                   const MomentumStep& step,
                   std::span<Piece> pieces,
                   std::span<Sums> sums);

/// One update of AdamW or the LAMB family: 28 bytes per element of float32, 40 where a trust ratio
/// applies (less what the second pass finds in cache).
void adaptive_step(Dtype dtype,
                   const AdaptiveStep& step,
                   std::span<Piece> pieces,
                   std::span<Sums> sums);

/// Products of the halves, and their mean a + weight·(b - a) where asked: 8 (12) bytes per element.
void half_products(Dtype dtype,
                   std::span<const HalfPiece> pieces,
                   double weight,
                   std::span<HalfSums> sums);

/// The same products of the preconditioned halves; pieces need v. 12 bytes per element.
void preconditioned_half_products(Dtype dtype,
                                  std::span<const HalfPiece> pieces,
                                  const math::Preconditioner<double>& preconditioner,
                                  std::span<HalfSums> sums);

}  // namespace batchscope::optim::kernels
