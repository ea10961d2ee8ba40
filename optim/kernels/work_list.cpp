#include "optim/kernels/work_list.h"

#include "cmake/torch/threads.h"

#include <algorithm>
#include <atomic>
#include <numeric>

namespace batchscope::optim::kernels {

std::vector<std::size_t> largest_first(const std::vector<std::int64_t>& elements) {
  std::vector<std::size_t> order(elements.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(
      order.begin(), order.end(), [&](auto a, auto b) { return elements[a] > elements[b]; });
  return order;
}

std::vector<Block> blocks_of(const std::vector<std::int64_t>& elements,
                             const std::vector<std::size_t>& order) {
  std::vector<Block> blocks;
  for (const std::size_t k : order) {
    for (std::int64_t begin = 0; begin < elements[k]; begin += kBlock) {
      blocks.push_back({k, begin, std::min(kBlock, elements[k] - begin)});
    }
  }
  return blocks;
}

int threads_for(std::int64_t elements) {
  // Below this the hand-over to other threads costs more than the work.
  constexpr std::int64_t kWorthwhile = 4 * kBlock;
  return elements < kWorthwhile || omp_in_parallel() != 0 ? 1 : omp_get_max_threads();
}

void for_each_item(std::int64_t count, int most, Item item, const void* context) {
  if (most <= 1 || count <= 1) {
    for (std::int64_t i = 0; i < count; ++i) {
      item(context, i);
    }
    return;
  }
  std::atomic<std::int64_t> next{0};
  threads::team(most, [&] {
    for (std::int64_t i = next++; i < count; i = next++) {
      item(context, i);
    }
  });
}

}  // namespace batchscope::optim::kernels
