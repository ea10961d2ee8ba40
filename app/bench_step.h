#pragma once

#include "app/bench_step_shares.h"

#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace batchscope {

struct BenchStepOptions {
  std::string model = "lab_faster_rcnn";
  std::string norm = "gn";
  std::string precision = "fp32";  // of precision.mode
  std::int64_t batch = 128;        // pictures per step
  std::int64_t size = 32;          // side of the drawn pictures, px
  std::int64_t steps = 60;         // timed ones
  std::int64_t warmup = 8;         // steps before
  std::int64_t batches = 4;        // distinct batches, taken in turn
  std::int64_t threads = 1;        // of torch's operators
  std::uint64_t seed = 0;
  std::string batches_out;  // file that gets the batches, for another program; empty: none
};

struct StepTiming {
  double median_ms = 0, fastest_ms = 0;
  double pictures_per_s = 0;  // at the median
  double loss = 0;            // after the last step: a broken step would be fast
  double peak_mib = 0;        // resident memory of the process, largest until the last step
  StepShares shares;          // of the update
};

/// Times training steps (losses, gradients, SGD with momentum) on drawn pictures that are prepared
/// beforehand. Throws contract::SpecError or std::invalid_argument for options out of range.
StepTiming measure_step(const BenchStepOptions& options);

/// Adds `step` to the command `bench`: measures, prints a table or, with --json, one object to
/// stdout or to the file that follows. Errors leave as exceptions.
void add_bench_step(CLI::App& bench);

}  // namespace batchscope
