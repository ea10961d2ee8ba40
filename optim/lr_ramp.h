#pragma once

#include <cstdint>
#include <vector>

namespace batchscope::optim {

/// The ramp that carries the learning rate over a switch: per module a factor on the target rate,
/// geometric from factor[m] at n = 0 to 1 at n = length (algorithms.md 10.5). Plain numbers, stored
/// in checkpoints.
struct LrRamp {
  std::vector<double> start;  // [M], in [1e-6, 10], 0: linear from 0 for this one; empty: no ramp
  std::int64_t length = 100;  // updates
  std::int64_t done = 0;      // updates since the switch
  bool rewarmup = false;      // linear from 0 for all instead: (done + 1)/length
  /// Factor of module m for the next update.
  double factor(std::int64_t module) const;
  void tick() { ++done; }
  bool active() const;
};

}  // namespace batchscope::optim
