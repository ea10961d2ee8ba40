#pragma once

#include "optim/flat_optimizer.h"

namespace batchscope::optim {

/// SGD with momentum (algorithms.md 3) and LARS (4). State: the buffer, its mass S, and for LARS
/// the last ratio of each tensor. The buffer of LARS's pre form holds the rates it was fed with.
class MomentumOptimizer : public FlatOptimizer {
 public:
  MomentumOptimizer(const Options& options,
                    const std::vector<Parameter>& parameters,
                    std::int64_t modules);
  std::vector<CanonicalState> canonical() const override;
  void set_canonical(const std::vector<CanonicalState>& state) override;
  std::int64_t state_floats() const override { return 1; }
  torch::Tensor precondition(std::int64_t parameter,
                             const torch::Tensor& grad,
                             double scale) const override;
  std::vector<HalfDots> preconditioned_dots(const std::vector<torch::Tensor>& g1,
                                            const std::vector<torch::Tensor>& g2,
                                            double scale) const override;

 protected:
  void prepare(const State& state, Update& update) const override;
  void pass(State& state, Update& update) const override;
  kernels::DeviceRules device_rules(const State& state) const override;
  Direction settle(State& state, const Update& update) const override;
  void options_change(const Options& next) override;
  void strip_rates(State& state) const override;
  bool needs_weight_norms() const override { return lars(); }
  double largest_norm() const override;

 private:
  /// Whether LARS scales at all (lars_always_adapt), and its local ratio.
  bool scales() const;
  double local_ratio(double weight_norm, double grad_norm) const;
  bool lars() const { return options_.method == Method::kLars; }
  bool pre() const { return lars() && options_.lars_pre; }
  /// LARS: sets the scale of each tensor's contribution.
  void scale_contribution(const State& state, Update& update) const;
  math::Blend blend(const State& state) const {
    return math::sgd_blend(options_.momentum, options_.dampening, state.mass1);
  }
  void reset();
};

}  // namespace batchscope::optim
