#pragma once

#include "optim/device_pass.h"
#include "optim/kernels/multi_tensor.h"
#include "optim/layout.h"
#include "optim/optimizer.h"

#include <torch/types.h>

#include <cstdint>
#include <functional>
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

/// One update as it passes from the gradients to the report; lists in layout order.
struct Update {
  std::vector<kernels::Piece> pieces;  // w, g, elements; the method sets the rest
  std::vector<kernels::Sums> sums;     // g: of the gradient before clipping
  std::vector<double> rate;            // lr · mu
  std::vector<bool> skip;              // dead, or (LARS) without a gradient
  double clip = 1;
  bool dry = false;    // the weights stay; the directions are left in g
  bool norms = false;  // the report wants the sums of w, u, m, v
  /// L2 norm of the clipped gradient.
  double grad_norm(std::size_t k) const;
};

/// What a method answers: the weights change by pieces[k].factor·direction in tensor k.
struct Direction {
  std::vector<double> trust;
  std::vector<bool> adapted;
  std::vector<bool> clamped;
  double pmd_c = 1, beta1 = 0, beta2 = 0, n_eff_m = 0, n_eff_v = 0;
};

/// Parts that all methods share: clipping, the guard, reports, saving. The kernels work on the
/// memory of weights and gradients themselves where it is dense and in one order; else on a copy.
class FlatOptimizer : public Optimizer {
 public:
  FlatOptimizer(const Options& options,
                const std::vector<Parameter>& parameters,
                std::int64_t modules);

  StepReport step(std::vector<torch::Tensor>& grads,
                  double lr,
                  const std::vector<double>& mu) override;
  StepReport step_measured(std::vector<torch::Tensor>& grads,
                           const std::vector<double>& squares,
                           double lr,
                           const std::vector<double>& mu) override;
  StepReport shadow_step(const std::vector<torch::Tensor>& grads,
                         double lr,
                         const std::vector<double>& mu,
                         std::vector<torch::Tensor>* change) override;
  std::vector<torch::Tensor> preview(const std::vector<torch::Tensor>& grads) override;
  const Options& options() const override { return options_; }
  void set_options(const Options& options) override;
  std::vector<std::pair<std::string, torch::Tensor>> state_views() const override;
  void load(const std::vector<std::pair<std::string, torch::Tensor>>& state) override;
  std::int64_t t() const override { return state_.t; }
  void set_diagnostics(bool on) override { diagnostics_ = on; }

  const State& state() const { return state_; }
  /// Takes over the number of applied updates.
  void set_t(std::int64_t t) { state_.t = t; }

 protected:
  /// Sets what pieces need whatever the gradients are: decay, rate, kind of step.
  virtual void prepare(const State& state, Update& update) const = 0;
  /// The pass on the CPU, with the decisions that depend on norms. update.sums[k].w is set where
  /// needs_weight_norms().
  virtual void pass(State& state, Update& update) const = 0;
  /// The same pass as rules for a device; what all methods share is set by the caller.
  virtual kernels::DeviceRules device_rules(const State& state) const = 0;
  /// Takes the update into the plain numbers of the state.
  virtual Direction settle(State& state, const Update& update) const = 0;
  /// Called with the new options before they count.
  virtual void options_change(const Options& next) = 0;
  /// True when advance() needs the norms of the weights beforehand.
  virtual bool needs_weight_norms() const = 0;
  /// Norm of a gradient above which the state would overflow.
  virtual double largest_norm() const = 0;
  /// Takes out of the buffers of a copied state the rates that they hold, so that an update of it
  /// at a rate of 1 is one of which the rate is a factor.
  virtual void strip_rates(State& /*state*/) const {}

  /// True for tensors that exclude_1d excludes.
  bool excluded(std::size_t i) const { return excluding() && !layout_.is_matrix(i); }
  double decay_of(std::size_t k) const { return excluded(k) ? 0.0 : options_.weight_decay; }
  /// Points pieces at the moments of `state`.
  void set_moments(State& state, std::vector<kernels::Piece>& pieces) const;
  kernels::Dtype dtype() const;
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
  /// Tensors behind the pieces of one update: those of the caller, or dense copies of them.
  struct Memory {
    std::vector<torch::Tensor> weights, grads;
    std::vector<std::size_t> copied;  // positions whose weights are copies
  };
  bool excluding() const;
  void require_factors(const std::vector<double>& mu) const;
  Memory bind(std::vector<torch::Tensor>& grads, Update& update) const;
  /// Copies back weights that were worked on as copies, and tells autograd.
  void give_back(const Memory& memory) const;
  /// The update on a CUDA device; `directions`: flat, for a dry one.
  StepReport run_on_device(State& state,
                           Update& update,
                           const Memory& memory,
                           const torch::Tensor& directions);
  bool on_device() const { return !layout_.tensor_options().device().is_cpu(); }
  StepReport run(std::vector<torch::Tensor>& grads,
                 const std::vector<double>* squares,
                 double lr,
                 const std::vector<double>& mu);
  /// An update of `state` that leaves the weights alone and gets copies of the gradients, in which
  /// it leaves the directions.
  StepReport dry_run(State& state,
                     std::vector<torch::Tensor>& copies,
                     const torch::Tensor& flat,
                     Update& update,
                     double lr,
                     const std::vector<double>& mu);
  /// Norms, clipping and the guard. report.applied tells whether the update may go on.
  void look_at_gradients(Update& update,
                         const std::vector<double>* squares,
                         StepReport& report) const;
  /// Rates, moments and prepare() of an update whose memory is bound.
  void make_ready(State& state, Update& update, double lr, const std::vector<double>& mu) const;
  void report_step(StepReport& report,
                   const Update& update,
                   const Direction& d,
                   double lr,
                   const std::vector<double>& mu) const;
  void report_trust(StepReport& report,
                    const Direction& d,
                    double lr,
                    const std::vector<double>& mu) const;
  /// Root of the sum of squares over the tensors of each module.
  std::vector<double> per_module(const std::function<double(std::size_t)>& square) const;
  /// Norm of the gradient of each module, before clipping.
  std::vector<double> gradient_norms(const Update& update) const;

  std::int64_t modules_ = 0;
  bool diagnostics_ = true;
  DevicePass device_;
};

}  // namespace batchscope::optim
