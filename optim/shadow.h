#pragma once

#include "optim/optimizer.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace batchscope::optim {

/// What the update of a shadow optimizer would have been, per module ([M]). The vectors are empty
/// when nothing was applied.
struct ShadowReport {
  bool applied = false;
  std::vector<double> update_norm;  // L2 norm of the change that was left out
  std::vector<double> cosine;       // between it and the real change; NaN where one of them is zero
  std::vector<double> lr;           // lr · mu · trust
};

/// Optimizers that are fed the gradients of a training and never touch its weights: their states
/// advance with it, and they read the weights that the real optimizer has made. One thread.
class Shadows {
 public:
  /// The tensors of the real optimizer; handles are kept.
  Shadows(std::vector<Parameter> parameters, std::int64_t modules);

  /// A shadow that begins now, without history. Throws std::invalid_argument as make_optimizer
  /// does.
  void add(const Options& options);
  void remove(std::size_t i);
  std::size_t count() const { return optimizers_.size(); }
  Optimizer& at(std::size_t i) { return *optimizers_.at(i); }
  const Optimizer& at(std::size_t i) const { return *optimizers_.at(i); }

  /// Feeds every shadow, before the real update. grads are left as they are; lr: one rate per
  /// shadow; mu: factor per module. `compare`: compare() follows the real update.
  void advance(const std::vector<torch::Tensor>& grads,
               const std::vector<double>& lr,
               const std::vector<double>& mu,
               bool compare);
  /// Sets the changes that were left out beside the one that the weights got since advance(): one
  /// report per shadow. Frees what it compared.
  std::vector<ShadowReport> compare();

  /// Bytes that the states take, and those that a compared update takes besides: the weights before
  /// it and a change per shadow.
  std::int64_t state_bytes() const;
  std::int64_t scratch_bytes() const;

 private:
  std::int64_t weight_bytes() const;

  std::vector<Parameter> parameters_;
  std::vector<std::int64_t> module_of_;
  std::int64_t modules_ = 0;
  std::vector<std::unique_ptr<Optimizer>> optimizers_;
  // Between advance() and compare().
  std::vector<StepReport> steps_;
  std::vector<std::vector<torch::Tensor>> changes_;
  std::vector<torch::Tensor> before_;
};

}  // namespace batchscope::optim
