#pragma once

#include "optim/options.h"

#include <cstdint>
#include <vector>

namespace batchscope {

/// One tensor of the plain reference.
struct PlainTensor {
  bool matrix = true;  // two dimensions or more: what exclude_1d does not exclude
  std::vector<double> w, m, v;
};

/// The methods in plain float64 loops, transcribed from algorithms.md 3 to 6 and shared with
/// nothing: what `doctor` compares the kernels with. Knows the options that `doctor` uses:
/// clipping, decay, exclusions, trust clamp, nesterov, both forms of LARS, the three readings of
/// PMD.
class PlainOptimizer {
 public:
  PlainOptimizer(const batchscope::optim::Options& options, std::vector<PlainTensor> tensors);
  void step(const std::vector<std::vector<double>>& grads, double lr);
  const std::vector<PlainTensor>& tensors() const { return tensors_; }

 private:
  void momentum(PlainTensor& tensor, const std::vector<double>& g, double lr) const;
  void adaptive(PlainTensor& tensor, const std::vector<double>& g, double lr);

  optim::Options options_;
  std::vector<PlainTensor> tensors_;
  std::int64_t updates_ = 0;
  double mass1_ = 0, mass2_ = 0;  // after the last update
};

}  // namespace batchscope
