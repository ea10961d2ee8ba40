#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

namespace batchscope {

/// One line of `doctor`.
struct Finding {
  std::string check;
  std::string dtype;    // of state and weights; empty where it does not matter
  double error = 0;     // largest one, of the largest number of its tensor
  double bound = 0;     // what is allowed
  double gb_per_s = 0;  // 0: not measured
  bool passed = false;
};

/// Compares every kernel of the optimizers with plain float64 loops on this machine: sizes of 0, 1
/// and 7, odd tails and `large` elements, three updates each; and measures the memory's speed.
/// Threads: torch's.
std::vector<Finding> examine(const torch::Device& device, std::int64_t large = 4 << 20);

}  // namespace batchscope
