#include "optim/kernels/multi_tensor.h"

#include "optim/kernels/piece_blocks.h"

#include <vector>

namespace batchscope::optim::kernels {

namespace {

template <typename T>
void measure_as(std::span<const Piece> pieces, bool weights, std::span<Sums> sums) {
  const auto sizes = sizes_of(pieces);
  const auto blocks = blocks_of(sizes, largest_first(sizes));
  const auto count = static_cast<std::int64_t>(blocks.size());
  std::vector<Sums> partial(blocks.size());
  const auto one = [&](std::int64_t reversed) {
    const auto i = static_cast<std::size_t>(count - 1 - reversed);
    const Piece& piece = pieces[blocks[i].piece];
    partial[i].g = squares_block(at<const T>(piece.g, blocks[i].begin), blocks[i].length);
    if (weights) {
      partial[i].w = squares_block(at<const T>(piece.w, blocks[i].begin), blocks[i].length);
    }
  };
  for_each_item(count, threads_for(total(blocks)), one);
  for (std::size_t k = 0; k < pieces.size(); ++k) {
    sums[k].g = 0;
    sums[k].w = weights ? 0 : sums[k].w;
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    sums[blocks[i].piece].g += partial[i].g;
    sums[blocks[i].piece].w += partial[i].w;
  }
}

template <typename T>
void momentum_as(const MomentumStep& step, std::span<Piece> pieces, std::span<Sums> sums) {
  const auto sizes = sizes_of(pieces);
  const auto blocks = blocks_of(sizes, largest_first(sizes));
  std::vector<Sums> partial(blocks.size());
  const auto one = [&](std::int64_t index) {
    const auto i = static_cast<std::size_t>(index);
    const Block& b = blocks[i];
    const Piece& p = pieces[b.piece];
    const math::MomentumElement<T> element = {static_cast<T>(step.clip),
                                              static_cast<T>(p.decay),
                                              static_cast<T>(p.scale),
                                              static_cast<T>(p.keep),
                                              static_cast<T>(step.gain),
                                              static_cast<T>(step.own),
                                              static_cast<T>(step.buffer)};
    momentum_block<T>({at<T>(p.w, b.begin),
                       at<T>(p.g, b.begin),
                       at<T>(p.m, b.begin),
                       b.length,
                       static_cast<T>(p.factor)},
                      element,
                      p.stores ? Direction::kStore : Direction::kApply,
                      step.norms,
                      partial[i]);
  };
  for_each_item(static_cast<std::int64_t>(blocks.size()), threads_for(total(blocks)), one);
  if (step.norms) {
    clear_step_sums(sums);
    add_blocks(blocks, partial, sums);
  }
}

}  // namespace

void measure(Dtype dtype, std::span<const Piece> pieces, bool weights, std::span<Sums> sums) {
  dtype == Dtype::kFloat64 ? measure_as<double>(pieces, weights, sums)
                           : measure_as<float>(pieces, weights, sums);
}

void momentum_step(Dtype dtype,
                   const MomentumStep& step,
                   std::span<Piece> pieces,
                   std::span<Sums> sums) {
  dtype == Dtype::kFloat64 ? momentum_as<double>(step, pieces, sums)
                           : momentum_as<float>(step, pieces, sums);
}

}  // namespace batchscope::optim::kernels
