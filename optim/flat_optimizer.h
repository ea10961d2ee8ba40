#pragma once

#include "optim/layout.h"
#include "optim/optimizer.h"

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace batchscope::optim {

/// State of an optimizer: moments of all tensors end to end, and plain numbers.
struct State {
  torch::Tensor m;                    // SGD, LARS: the momentum buffer
  torch::Tensor v;                    // undefined for SGD and LARS
  double mass1 = 0, mass2 = 0;        // SGD, LARS: mass1 is S
  double squares1 = 0, squares2 = 0;  // sums of squared weights
  std::int64_t t = 0;
  std::int64_t phase = -1;     // PMD: phase of the next update; -1: the first period is to come
  std::vector<double> ratio;   // LARS, per tensor: ratio of the last contribution
  std::vector<double> folded;  // LARS pre form, per tensor: rate in the buffer; 0: none
  State clone() const;
};

/// What a method gets for one update; everything flat or per tensor in layout order.
struct StepInput {
  torch::Tensor g;                  // clipped gradient, scratch
  torch::Tensor w;                  // copy of the weights
  std::vector<double> grad_norm;    // clipped
  std::vector<double> weight_norm;  // empty unless the method or the diagnostics need it
  std::vector<double> rate;         // lr · mu
};

/// What a method answers: the weights change by factor[i]·direction in tensor i.
struct Direction {
  torch::Tensor direction;
  std::vector<double> factor;
  std::vector<double> trust;
  std::vector<bool> adapted;
  std::vector<bool> clamped;  // empty: none
  std::vector<double> norm;   // of the direction; empty: not computed
  double pmd_c = 1, beta1 = 0, beta2 = 0, n_eff_m = 0, n_eff_v = 0;
};

/// Parts that all methods share: clipping, the guard, reports, saving.
class FlatOptimizer : public Optimizer {
 public:
  FlatOptimizer(const Options& options,
                const std::vector<Parameter>& parameters,
                std::int64_t modules);

  StepReport step(std::vector<torch::Tensor>& grads,
                  double lr,
                  const std::vector<double>& mu) override;
  StepReport shadow_step(const std::vector<torch::Tensor>& grads,
                         double lr,
                         const std::vector<double>& mu,
                         std::vector<torch::Tensor>* change) override;
  std::vector<torch::Tensor> preview(const std::vector<torch::Tensor>& grads) override;
  const Options& options() const override { return options_; }
  void set_options(const Options& options) override;
  std::vector<std::pair<std::string, torch::Tensor>> save() const override;
  void load(const std::vector<std::pair<std::string, torch::Tensor>>& state) override;
  std::int64_t t() const override { return state_.t; }
  void set_diagnostics(bool on) override { diagnostics_ = on; }

  const State& state() const { return state_; }
  /// Takes over the number of applied updates.
  void set_t(std::int64_t t) { state_.t = t; }

 protected:
  /// One update of `state`; the weights are changed by the caller.
  virtual Direction advance(State& state, StepInput& input) const = 0;
  /// Called with the new options before they count.
  virtual void options_change(const Options& next) = 0;
  /// True when advance() needs the norms of the weights.
  virtual bool needs_weight_norms() const = 0;
  /// Norm of a gradient above which the state would overflow.
  virtual double largest_norm() const = 0;
  /// Takes out of the buffers of a copied state the rates that they hold, so that an update of it
  /// at a rate of 1 is one of which the rate is a factor.
  virtual void strip_rates(State& /*state*/) const {}

  /// True for tensors that exclude_1d excludes.
  bool excluded(std::size_t i) const { return excluding() && !layout_.is_matrix(i); }
  /// The part of a flat tensor that decays.
  torch::Tensor decaying(const torch::Tensor& flat) const;
  /// Mean gradients with one mass: the largest of the list. Shapes are checked.
  struct Means {
    torch::Tensor m, v;  // flat; undefined if no tensor has one
    double mass1 = 0, mass2 = 0, squares1 = 0, squares2 = 0;
  };
  Means means_of(const std::vector<CanonicalState>& list) const;
  /// Canonical states of mean gradients (flat, v may be undefined).
  std::vector<CanonicalState> canonical_of(const Means& means) const;

  Options options_;
  Layout layout_;
  State state_;

 private:
  bool excluding() const;
  StepInput input_for(const std::vector<torch::Tensor>& grads, StepReport& report) const;
  /// The part of an update before the weights change; nothing if the update must not be applied.
  std::optional<Direction> direct(StepInput& input,
                                  StepReport& report,
                                  double lr,
                                  const std::vector<double>& mu);
  void require_factors(const std::vector<double>& mu) const;
  /// The change of every weight, in parameter order.
  std::vector<torch::Tensor> change_of(const Direction& d) const;
  void set_rates(StepInput& input, double lr, const std::vector<double>& mu) const;
  void report_step(StepReport& report,
                   const StepInput& input,
                   const Direction& d,
                   double lr,
                   const std::vector<double>& mu) const;
  void report_tensors(StepReport& report,
                      const StepInput& input,
                      const std::vector<double>& update) const;
  /// Root of the sum of squares of values over the tensors of each module.
  std::vector<double> per_module(const std::vector<double>& values) const;

  std::int64_t modules_ = 0;
  bool diagnostics_ = true;
};

}  // namespace batchscope::optim
