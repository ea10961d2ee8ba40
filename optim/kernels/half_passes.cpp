#include "optim/kernels/multi_tensor.h"
#include "optim/kernels/piece_blocks.h"

#include <algorithm>
#include <vector>

namespace batchscope::optim::kernels {

namespace {

template <typename T, typename F>
void halves_as(std::span<const HalfPiece> pieces, std::span<HalfSums> sums, const F& products) {
  const auto sizes = sizes_of(pieces);
  const auto blocks = blocks_of(sizes, largest_first(sizes));
  std::vector<HalfSums> partial(blocks.size());
  const auto one = [&](std::int64_t index) {
    const auto i = static_cast<std::size_t>(index);
    const HalfPiece& p = pieces[blocks[i].piece];
    const std::int64_t begin = blocks[i].begin;
    products(HalfBlock<T>{at<const T>(p.a, begin),
                          at<const T>(p.b, begin),
                          at<T>(p.mean, begin),
                          at<const T>(p.v, begin),
                          blocks[i].length},
             partial[i]);
  };
  for_each_item(static_cast<std::int64_t>(blocks.size()), threads_for(total(blocks)), one);
  std::fill(sums.begin(), sums.end(), HalfSums{});
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    HalfSums& to = sums[blocks[i].piece];
    to.d12 += partial[i].d12;
    to.d11 += partial[i].d11;
    to.d22 += partial[i].d22;
    to.mean += partial[i].mean;
  }
}

template <typename T>
void preconditioned_as(std::span<const HalfPiece> pieces,
                       const math::Preconditioner<double>& c,
                       std::span<HalfSums> sums) {
  const math::Preconditioner<T> element = {static_cast<T>(c.scale),
                                           static_cast<T>(c.keep),
                                           static_cast<T>(c.gain),
                                           static_cast<T>(c.eps)};
  halves_as<T>(pieces, sums, [&](const HalfBlock<T>& block, HalfSums& to) {
    preconditioned_half_block(block, element, to);
  });
}

}  // namespace

void half_products(Dtype dtype,
                   std::span<const HalfPiece> pieces,
                   double weight,
                   std::span<HalfSums> sums) {
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    halves_as<T>(pieces, sums, [&](const HalfBlock<T>& block, HalfSums& to) {
      half_block(block, weight, to);
    });
  };
  dtype == Dtype::kFloat64 ? run(double{}) : run(float{});
}

void preconditioned_half_products(Dtype dtype,
                                  std::span<const HalfPiece> pieces,
                                  const math::Preconditioner<double>& preconditioner,
                                  std::span<HalfSums> sums) {
  dtype == Dtype::kFloat64 ? preconditioned_as<double>(pieces, preconditioner, sums)
                           : preconditioned_as<float>(pieces, preconditioner, sums);
}

}  // namespace batchscope::optim::kernels
