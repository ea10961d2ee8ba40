#pragma once

#include "optim/flat_optimizer.h"
#include "optim/kernels/update_math.h"

namespace batchscope::optim {

/// AdamW (algorithms.md 3), LAMB (5) and PMD-LAMB (6). State: m, v and their masses, which stand
/// for bias correction and keep live changes of the betas exact.
class AdaptiveOptimizer : public FlatOptimizer {
 public:
  AdaptiveOptimizer(const Options& options,
                    const std::vector<Parameter>& parameters,
                    std::int64_t modules);
  std::vector<CanonicalState> canonical() const override;
  void set_canonical(const std::vector<CanonicalState>& state) override;
  std::int64_t state_floats() const override { return 2; }
  torch::Tensor precondition(std::int64_t parameter,
                             const torch::Tensor& grad,
                             double scale) const override;
  std::vector<HalfDots> preconditioned_dots(const std::vector<torch::Tensor>& g1,
                                            const std::vector<torch::Tensor>& g2,
                                            double scale) const override;
  /// Takes the moments and masses of another adaptive method bit for bit and begins a PMD period.
  void adopt(const AdaptiveOptimizer& from);

 protected:
  void prepare(const State& state, Update& update) const override;
  void pass(State& state, Update& update) const override;
  kernels::DeviceRules device_rules(const State& state) const override;
  Direction settle(State& state, const Update& update) const override;
  void options_change(const Options& next) override;
  bool needs_weight_norms() const override { return false; }
  double largest_norm() const override;

 private:
  /// How the next update treats the two moments: what is stored, and what the step reads.
  struct Blends {
    double c = 1;
    math::Blend store1, store2, read1, read2;
    bool readout = false;
  };
  /// What the two moments that a step reads are divided by.
  std::pair<double, double> divisors(const State& state) const;
  /// Factor on the rate: bias correction where it is folded in.
  double rate_scale(const State& state) const;
  bool adapts() const { return options_.method != Method::kAdamW; }
  /// Phase of the next update, -1 before the first period.
  std::int64_t phase_now(const State& state) const;
  Blends blends(const State& state) const;
  /// True for a tensor without gradient and history: its update would be decay alone.
  bool dead(const torch::Tensor& m, std::size_t k, double grad_norm, double c) const;
  void reset();
};

}  // namespace batchscope::optim
