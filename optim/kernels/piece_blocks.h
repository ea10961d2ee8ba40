#pragma once

#include "optim/kernels/multi_tensor.h"
#include "optim/kernels/work_list.h"

#include <cstdint>
#include <span>
#include <vector>

/// What the passes over all tensors share.
namespace batchscope::optim::kernels {

template <typename T>
T* at(const void* memory, std::int64_t element) {
  return memory == nullptr ? nullptr : static_cast<T*>(const_cast<void*>(memory)) + element;
}

template <typename P>
std::vector<std::int64_t> sizes_of(std::span<P> pieces) {
  std::vector<std::int64_t> sizes;
  sizes.reserve(pieces.size());
  for (const auto& piece : pieces) {
    sizes.push_back(piece.elements);
  }
  return sizes;
}

inline std::int64_t total(const std::vector<Block>& blocks) {
  std::int64_t sum = 0;
  for (const Block& block : blocks) {
    sum += block.length;
  }
  return sum;
}

/// Adds the sums of blocks to their tensors, in order.
inline void add_blocks(const std::vector<Block>& blocks,
                       const std::vector<Sums>& partial,
                       std::span<Sums> sums) {
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    Sums& to = sums[blocks[i].piece];
    to.w += partial[i].w;
    to.u += partial[i].u;
    to.m += partial[i].m;
    to.v += partial[i].v;
  }
}

inline void clear_step_sums(std::span<Sums> sums) {
  for (Sums& s : sums) {
    s.w = s.u = s.m = s.v = 0;
  }
}

}  // namespace batchscope::optim::kernels
