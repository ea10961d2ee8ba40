#include "optim/kernels/multi_tensor.h"
#include "optim/kernels/piece_blocks.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace batchscope::optim::kernels {

namespace {

/// The update of AdamW and the LAMB family. A tensor with a trust ratio needs its norms before its
/// weights may change: large ones are done by all threads, pass by pass; every other is taken whole
/// by one thread, which walks back over what its first pass left in cache.
template <typename T>
class AdaptivePass {
 public:
  AdaptivePass(const AdaptiveStep& step, std::span<Piece> pieces, std::span<Sums> sums)
      : step_(step), pieces_(pieces), sums_(sums), sizes_(sizes_of(pieces)) {
    clear_step_sums(sums);
    const auto order = largest_first(sizes_);
    std::int64_t elements = 0;
    for (const std::int64_t n : sizes_) {
      elements += n;
    }
    threads_ = threads_for(elements);
    const std::int64_t local =
        threads_ == 1 ? elements : std::max(kBlock, elements / (std::int64_t{4} * threads_));
    for (const std::size_t k : order) {
      const bool twice = pieces[k].adapts && !pieces[k].stores;
      if (!twice) {
        once_.push_back(k);
      } else if (sizes_[k] > local) {
        shared_.push_back(k);
      } else {
        local_.push_back(k);
      }
    }
  }

  void run() {
    const auto shared = blocks_of(sizes_, shared_), once = blocks_of(sizes_, once_);
    std::vector<Sums> shared_sums(shared.size()), once_sums(once.size());
    const auto n_shared = static_cast<std::int64_t>(shared.size());
    const auto n_local = static_cast<std::int64_t>(local_.size());
    const auto n_once = static_cast<std::int64_t>(once.size());
    const auto first = [&](std::int64_t i) {
      const auto k = static_cast<std::size_t>(i);
      shared_sums[k] = moments(shared[k], Direction::kStore);
    };
    for_each_item(n_shared, threads_, first);
    add_blocks(shared, shared_sums, sums_);
    for (const std::size_t k : shared_) {
      take_trust(k);
    }
    const auto rest = [&](std::int64_t i) {
      if (i < n_shared) {
        apply(shared[static_cast<std::size_t>(n_shared - 1 - i)]);
      } else if (i < n_shared + n_local) {
        whole(local_[static_cast<std::size_t>(i - n_shared)]);
      } else {
        const auto k = static_cast<std::size_t>(i - n_shared - n_local);
        const Piece& piece = pieces_[once[k].piece];
        once_sums[k] = moments(once[k], piece.stores ? Direction::kStore : Direction::kApply);
      }
    };
    for_each_item(n_shared + n_local + n_once, threads_, rest);
    add_blocks(once, once_sums, sums_);
    for (const std::size_t k : once_) {
      if (pieces_[k].adapts) {
        take_trust(k);
      }
    }
  }

 private:
  Sums moments(const Block& b, Direction direction) const {
    const Piece& p = pieces_[b.piece];
    const auto element = math::adaptive_element<T>(step_, step_.clip, p.decay);
    Sums sums;
    adaptive_block<T>({at<T>(p.w, b.begin),
                       at<T>(p.g, b.begin),
                       at<T>(p.m, b.begin),
                       at<T>(p.v, b.begin),
                       b.length,
                       static_cast<T>(p.factor)},
                      element,
                      {step_.readout, direction, step_.norms, /*for_trust=*/p.adapts},
                      sums);
    return sums;
  }

  void apply(const Block& b) const {
    const Piece& p = pieces_[b.piece];
    apply_block(at<T>(p.w, b.begin), at<const T>(p.g, b.begin), b.length, static_cast<T>(p.factor));
  }

  void take_trust(std::size_t k) {
    Piece& p = pieces_[k];
    p.trust = math::bounded_trust(std::sqrt(sums_[k].w), std::sqrt(sums_[k].u), step_.trust);
    p.factor *= p.trust;
  }

  void whole(std::size_t k) {
    Sums& sums = sums_[k];
    const std::int64_t n = sizes_[k], last = n == 0 ? -1 : (n - 1) / kBlock;
    const auto block = [&](std::int64_t i) {
      return Block{k, i * kBlock, std::min(kBlock, n - i * kBlock)};
    };
    for (std::int64_t i = 0; i <= last; ++i) {
      const Sums part = moments(block(i), Direction::kStore);
      sums.w += part.w;
      sums.u += part.u;
      sums.m += part.m;
      sums.v += part.v;
    }
    take_trust(k);
    for (std::int64_t i = last; i >= 0; --i) {
      apply(block(i));
    }
  }

  const AdaptiveStep& step_;
  const std::span<Piece> pieces_;
  const std::span<Sums> sums_;
  const std::vector<std::int64_t> sizes_;
  std::vector<std::size_t> shared_, local_, once_;
  int threads_ = 1;
};

}  // namespace

void adaptive_step(Dtype dtype,
                   const AdaptiveStep& step,
                   std::span<Piece> pieces,
                   std::span<Sums> sums) {
  dtype == Dtype::kFloat64 ? AdaptivePass<double>(step, pieces, sums).run()
                           : AdaptivePass<float>(step, pieces, sums).run();
}

}  // namespace batchscope::optim::kernels
