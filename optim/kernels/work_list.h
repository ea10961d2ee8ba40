#pragma once

#include <cstdint>
#include <vector>

namespace batchscope::optim::kernels {

/// Elements that are summed in one go; fixed, since the bits of every sum depend on it.
inline constexpr std::int64_t kBlock = 16384;

/// A stretch of one tensor.
struct Block {
  std::size_t piece = 0;
  std::int64_t begin = 0, length = 0;
};

/// Indices of tensors by size, largest first; equal sizes in the given order.
std::vector<std::size_t> largest_first(const std::vector<std::int64_t>& elements);

/// Blocks of the listed tensors, in that order.
std::vector<Block> blocks_of(const std::vector<std::int64_t>& elements,
                             const std::vector<std::size_t>& order);

/// Threads worth using for so many elements: torch's number, or one inside of a parallel region
/// and for little work.
int threads_for(std::int64_t elements);

using Item = void (*)(const void* context, std::int64_t index);
/// Calls item(context, i) for every i below count on `threads` threads, each taking the next one
/// when it is free. Items must not throw.
void for_each_item(std::int64_t count, int threads, Item item, const void* context);

template <typename F>
void for_each_item(std::int64_t count, int threads, const F& f) {
  const Item item = [](const void* context, std::int64_t i) {
    (*static_cast<const F*>(context))(i);
  };
  for_each_item(count, threads, item, &f);
}

}  // namespace batchscope::optim::kernels
