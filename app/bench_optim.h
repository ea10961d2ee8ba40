#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace batchscope {

struct BenchOptimOptions {
  std::int64_t threads = 2;
  std::int64_t rounds = 9;        // pairs of each ratio
  std::vector<std::string> only;  // names; empty: all
  /// Divides the number of channels of the model, for a quick look.
  std::int64_t shrink = 1;
};

/// One line of `bench optim`. Times are medians over the rounds, ratios medians of pairs.
struct OptimTiming {
  std::string name;
  double ms = 0;
  double bytes = 0;                                // per parameter, of the stream
  double limit_ms = 0, limit_ratio = 0;            // time of the stream / ours
  std::optional<double> vs_torch_fused, vs_naive;  // ours / theirs
  std::optional<double> with_guard_ms;  // the whole step, with its own pass over the gradients
  std::optional<double> with_guard_limit_ratio;
};

/// Times one update of every method over the trainable tensors of torchvision's Faster R-CNN
/// R50-FPN (189, 41.8 M float32) beside in-place streams of the same bytes and beside torch's own
/// optimizers, all in this process. Throws contract::SpecError for options out of range.
std::vector<OptimTiming> measure_optim(const BenchOptimOptions& options);

/// Adds `optim` to the command `bench`: measures, prints a table or, with --json, one object to
/// stdout or to the file that follows. Errors leave as exceptions.
void add_bench_optim(CLI::App& bench);

}  // namespace batchscope
