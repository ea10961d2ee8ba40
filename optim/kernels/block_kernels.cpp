#include "optim/kernels/block_kernels.h"

#include "optim/kernels/plain_sums.h"

namespace batchscope::optim::kernels {

namespace {

/// Elements whose squares are added in one go where they are added in T (`for_trust`): what was
/// summed stays in memory, so a sum that float32 cannot hold is taken again in float64.
constexpr std::int64_t kRun = 1024;

template <typename Sum, bool kReadout, Direction kDirection, bool kNorms, typename T>
void adaptive_run(const AdaptiveBlock<T>& block, const math::AdaptiveElement<T>& c, Sums& sums) {
  T *const w = block.w, *const g = block.g, *const m = block.m, *const v = block.v;
  const T factor = block.factor;
  const std::int64_t n = block.n;
  Sum sw = 0, su = 0;
  double sm = 0, sv = 0;
#pragma omp simd reduction(+ : sw, su, sm, sv)
  for (std::int64_t i = 0; i < n; ++i) {
    T mi = m[i], vi = v[i];
    const T wi = w[i];
    const T u = math::adaptive_direction<kReadout>(g[i], wi, mi, vi, c);
    m[i] = mi;
    v[i] = vi;
    if (kDirection == Direction::kApply) {
      w[i] = wi + factor * u;
    } else {
      g[i] = u;
    }
    if (kNorms || kDirection == Direction::kStore) {
      sw += static_cast<Sum>(wi) * static_cast<Sum>(wi);
      su += static_cast<Sum>(u) * static_cast<Sum>(u);
    }
    if (kNorms) {
      sm += static_cast<double>(mi) * static_cast<double>(mi);
      sv += static_cast<double>(vi) * static_cast<double>(vi);
    }
  }
  const bool narrow = sizeof(Sum) < sizeof(double);
  sums.w += narrow && !trustworthy(sw) ? squares_plain(w, n) : static_cast<double>(sw);
  sums.u += narrow && !trustworthy(su) ? squares_plain(g, n) : static_cast<double>(su);
  sums.m += sm;
  sums.v += sv;
}

template <typename Sum, bool kReadout, Direction kDirection, bool kNorms, typename T>
void adaptive_loop(const AdaptiveBlock<T>& block,
                   const math::AdaptiveElement<T>& element,
                   Sums& sums) {
  const math::AdaptiveElement<T> c = element;
  AdaptiveBlock<T> run = block;
  for (std::int64_t left = block.n; left > 0; left -= run.n) {
    run.n = left < kRun ? left : kRun;
    adaptive_run<Sum, kReadout, kDirection, kNorms>(run, c, sums);
    run.w += run.n;
    run.g += run.n;
    run.m += run.n;
    run.v += run.n;
  }
}

template <Direction kDirection, bool kNorms, typename T>
void momentum_loop(const MomentumBlock<T>& block,
                   const math::MomentumElement<T>& element,
                   Sums& sums) {
  const math::MomentumElement<T> c = element;
  T *const w = block.w, *const g = block.g, *const m = block.m;
  const T factor = block.factor;
  const std::int64_t n = block.n;
  double sw = 0, su = 0, sm = 0;
#pragma omp simd reduction(+ : sw, su, sm)
  for (std::int64_t i = 0; i < n; ++i) {
    T mi = m[i];
    const T wi = w[i];
    const T u = math::momentum_direction(g[i], wi, mi, c);
    m[i] = mi;
    if (kDirection == Direction::kApply) {
      w[i] = wi + factor * u;
    } else {
      g[i] = u;
    }
    if (kNorms) {
      sw += static_cast<double>(wi) * static_cast<double>(wi);
      su += static_cast<double>(u) * static_cast<double>(u);
      sm += static_cast<double>(mi) * static_cast<double>(mi);
    }
  }
  sums.w += sw;
  sums.u += su;
  sums.m += sm;
}

template <typename Sum, bool kReadout, Direction kDirection, typename T>
void adaptive_any(const AdaptiveBlock<T>& block,
                  const math::AdaptiveElement<T>& element,
                  bool norms,
                  Sums& sums) {
  norms ? adaptive_loop<Sum, kReadout, kDirection, true>(block, element, sums)
        : adaptive_loop<Sum, kReadout, kDirection, false>(block, element, sums);
}

template <bool kReadout, typename T>
void adaptive_any(const AdaptiveBlock<T>& block,
                  const math::AdaptiveElement<T>& element,
                  const AdaptiveUse& use,
                  Sums& sums) {
  if (use.direction == Direction::kApply) {
    adaptive_any<double, kReadout, Direction::kApply>(block, element, use.norms, sums);
  } else if (use.for_trust) {
    adaptive_any<T, kReadout, Direction::kStore>(block, element, use.norms, sums);
  } else {
    adaptive_any<double, kReadout, Direction::kStore>(block, element, use.norms, sums);
  }
}

}  // namespace

template <typename T>
void momentum_block(const MomentumBlock<T>& block,
                    const math::MomentumElement<T>& element,
                    Direction direction,
                    bool norms,
                    Sums& sums) {
  if (direction == Direction::kApply) {
    norms ? momentum_loop<Direction::kApply, true>(block, element, sums)
          : momentum_loop<Direction::kApply, false>(block, element, sums);
  } else {
    norms ? momentum_loop<Direction::kStore, true>(block, element, sums)
          : momentum_loop<Direction::kStore, false>(block, element, sums);
  }
}

template <typename T>
void adaptive_block(const AdaptiveBlock<T>& block,
                    const math::AdaptiveElement<T>& element,
                    const AdaptiveUse& use,
                    Sums& sums) {
  use.readout ? adaptive_any<true>(block, element, use, sums)
              : adaptive_any<false>(block, element, use, sums);
}

template <typename T>
void apply_block(T* w, const T* u, std::int64_t n, T factor) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    w[i] += factor * u[i];
  }
}

#define BATCHSCOPE_BLOCKS(T)                                                                \
  template void momentum_block<T>(                                                          \
      const MomentumBlock<T>&, const math::MomentumElement<T>&, Direction, bool, Sums&);    \
  template void adaptive_block<T>(                                                          \
      const AdaptiveBlock<T>&, const math::AdaptiveElement<T>&, const AdaptiveUse&, Sums&); \
  template void apply_block<T>(T*, const T*, std::int64_t, T)  // NOLINT(bugprone-macro-parentheses)
BATCHSCOPE_BLOCKS(float);
BATCHSCOPE_BLOCKS(double);
#undef BATCHSCOPE_BLOCKS

}  // namespace batchscope::optim::kernels
