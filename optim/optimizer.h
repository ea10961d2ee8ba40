#pragma once

#include "optim/half_dots.h"
#include "optim/options.h"

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace batchscope::optim {

/// One trainable tensor. `module` indexes the module groups (AGVM factors, diagnostics).
struct Parameter {
  std::string name;
  std::int64_t module = 0;
  torch::Tensor tensor;
};

/// Norms of every tensor in one update, in parameter order; all L2.
struct TensorNorms {
  std::vector<double> grad;    // after clipping
  std::vector<double> weight;  // before the update
  std::vector<double> update;  // of the change of the weights
};

/// What one update did, per module where it is a vector ([M], in module order). Those marked (d)
/// are empty while diagnostics are off or the update was skipped.
struct StepReport {
  bool applied = false;  // false: skipped, the gradient was not finite
  double grad_norm = 0;  // global, before clipping
  double clip_factor = 1;
  std::vector<double> module_grad_norm;    // before clipping
  std::vector<double> module_weight_norm;  // (d) before the update
  std::vector<double> module_update_norm;  // (d) of the change of the weights
  std::vector<double> module_m_norm;       // (d) of mhat (SGD, LARS: buffer / mass, with the decay)
  std::vector<double> module_v_norm;       // (d) of vhat; 0 where the method has none
  std::vector<double>
      module_trust;  // mean over the adapted tensors, weighted by size; 1 where none is adapted
  std::vector<double>
      tensor_trust;  // per parameter, in the order given; 1 where none applies; empty: skipped
  std::vector<double> module_lr;  // lr · mu · trust
  double pmd_c = 1;               // coefficient used in this update
  double beta1_eff = 0,
         beta2_eff = 0;             // weight of the history in this update; SGD, LARS: momentum, 0
  double n_eff_m = 0, n_eff_v = 0;  // effective number of gradients remembered; 0: no such moment
  std::vector<double> module_clamped;  // tensors whose trust ratio was bounded; empty: skipped
  TensorNorms tensors;                 // (d)
};

/// The state of a tensor, independent of lr and decay convention (algorithms.md 10).
struct CanonicalState {
  torch::Tensor mhat;  // undefined if there is none
  double mass1 = 0;
  torch::Tensor vhat;  // undefined if there is none
  double mass2 = 0;
  /// Sums of the squared weights behind the masses, for n_eff; 0: those of a plain exponential
  /// mean.
  double squares1 = 0, squares2 = 0;
};

/// An optimizer over a fixed list of tensors. Every update is a function of its state, the
/// gradients and the arguments of step(): learning rates are passed by value and never stored in
/// buffers. One thread.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// One update. grads: one tensor per parameter, same shape (undefined counts as zero); used as
  /// scratch: what they hold afterwards is undefined. lr: scheduled base rate; mu: AGVM factor per
  /// module ([M]). A non-finite global norm applies nothing (applied = false) and leaves every
  /// state and counter as it was.
  virtual StepReport step(std::vector<torch::Tensor>& grads,
                          double lr,
                          const std::vector<double>& mu) = 0;
  /// The same for a caller who knows the sum of squares of each gradient, in parameter order: who
  /// wrote the gradients could take them on the way (halves_mean does). Saves the pass over the
  /// gradients that the guard and clipping need, 4 bytes per element of float32.
  virtual StepReport step_measured(std::vector<torch::Tensor>& grads,
                                   const std::vector<double>& squares,
                                   double lr,
                                   const std::vector<double>& mu) = 0;
  /// As step(), but the weights and the gradients keep their bits: state and t() advance as if the
  /// update had been made. `change`, unless null, receives the change of the weights that was left
  /// out, in parameter order; it belongs to the caller and is left alone when nothing was applied.
  virtual StepReport shadow_step(const std::vector<torch::Tensor>& grads,
                                 double lr,
                                 const std::vector<double>& mu,
                                 std::vector<torch::Tensor>* change) = 0;
  /// The change of weights that step() would make with lr = 1 and mu = 1, without changing
  /// anything. For LR mapping and previews. LARS's pre form keeps rates inside its buffer: its
  /// buffer is first divided by the last rate (strip_rates), so that all of the change is per rate.
  virtual std::vector<torch::Tensor> preview(const std::vector<torch::Tensor>& grads) = 0;

  virtual const Options& options() const = 0;
  /// Changes hyper-parameters of the same method at once (masses keep beta changes exact; a new PMD
  /// period keeps the phase fraction). Throws std::invalid_argument if the method differs.
  virtual void set_options(const Options& options) = 0;

  virtual std::vector<CanonicalState> canonical() const = 0;
  /// Replaces the state (algorithms.md 10.3; missing vhat is seeded from mhat) and begins a PMD
  /// period here; t() is kept. The largest mass of the list counts for all tensors; a tensor
  /// without mhat starts at zero. An empty list resets the state.
  virtual void set_canonical(const std::vector<CanonicalState>& state) = 0;

  /// Everything that step() depends on, by name: "state/<param>/m", … tensors and float64 scalars
  /// "scalar/t", "scalar/M1", … Bit-exact: load(save()) and an uninterrupted run agree.
  std::vector<std::pair<std::string, torch::Tensor>> save() const;
  /// The same without a copy: tensors of state are views of the optimizer's own memory, which the
  /// next update changes.
  virtual std::vector<std::pair<std::string, torch::Tensor>> state_views() const = 0;
  virtual void load(const std::vector<std::pair<std::string, torch::Tensor>>& state) = 0;

  /// Applied updates; a switch (switch_optimizer) carries the number on.
  virtual std::int64_t t() const = 0;
  /// Whether step() reports the norms marked (d) in StepReport. Default: on.
  virtual void set_diagnostics(bool on) = 0;
  /// Floats of state per parameter.
  virtual std::int64_t state_floats() const = 0;
  /// The preconditioner for AGVM's cosine: g / (sqrt(beta2·v + (1-beta2)·g²) + eps) for the
  /// adaptive methods (algorithms.md 2.5; scale: 1/W under compat_official), g itself for SGD and
  /// LARS.
  virtual torch::Tensor precondition(std::int64_t parameter,
                                     const torch::Tensor& grad,
                                     double scale = 1.0) const = 0;
  /// tensor_dots of both halves as precondition() makes them, in one pass that stores nothing.
  virtual std::vector<HalfDots> preconditioned_dots(const std::vector<torch::Tensor>& g1,
                                                    const std::vector<torch::Tensor>& g2,
                                                    double scale = 1.0) const = 0;
};

/// An optimizer over `parameters`: float32 or float64 tensors of one dtype on one device, whose
/// state has their dtype; it keeps handles of the tensors and writes to them. Throws
/// std::invalid_argument for options out of range, no tensors, mixed or other dtypes, mixed
/// devices, repeated names, or a module that is not in [0, modules).
std::unique_ptr<Optimizer> make_optimizer(const Options& options,
                                          const std::vector<Parameter>& parameters,
                                          std::int64_t modules);

}  // namespace batchscope::optim
