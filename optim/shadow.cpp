#include "optim/shadow.h"

#include "optim/agvm.h"

#include <torch/utils.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace batchscope::optim {

namespace {

double cosine(const HalfDots& dots) {
  return dots.d11 > 0 && dots.d22 > 0 ? dots.d12 / std::sqrt(dots.d11 * dots.d22)
                                      : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

Shadows::Shadows(std::vector<Parameter> parameters, std::int64_t modules)
    : parameters_(std::move(parameters)), modules_(modules) {
  for (const Parameter& p : parameters_) {
    module_of_.push_back(p.module);
  }
}

void Shadows::add(const Options& options) {
  optimizers_.push_back(make_optimizer(options, parameters_, modules_));
}

void Shadows::remove(std::size_t i) {
  optimizers_.erase(optimizers_.begin() + static_cast<std::ptrdiff_t>(i));
}

void Shadows::advance(const std::vector<torch::Tensor>& grads,
                      const std::vector<double>& lr,
                      const std::vector<double>& mu,
                      bool compare) {
  if (lr.size() != count()) {
    throw std::invalid_argument("shadows: expected " + std::to_string(count()) +
                                " learning rates, found " + std::to_string(lr.size()));
  }
  const torch::NoGradGuard no_grad;
  steps_.clear();
  changes_.assign(compare ? count() : 0, {});
  for (std::size_t i = 0; i < count(); ++i) {
    optimizers_[i]->set_diagnostics(compare);
    steps_.push_back(
        optimizers_[i]->shadow_step(grads, lr[i], mu, compare ? &changes_[i] : nullptr));
  }
  before_.clear();
  for (std::size_t p = 0; compare && count() > 0 && p < parameters_.size(); ++p) {
    before_.push_back(parameters_[p].tensor.detach().clone());
  }
}

std::vector<ShadowReport> Shadows::compare() {
  const torch::NoGradGuard no_grad;
  for (std::size_t p = 0; p < before_.size(); ++p) {
    // The real change, in the place of the old weights.
    before_[p].neg_().add_(parameters_[p].tensor);
  }
  std::vector<ShadowReport> reports(changes_.size());
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    reports[i].applied = steps_[i].applied;
    if (!reports[i].applied) {
      continue;
    }
    reports[i].update_norm = steps_[i].module_update_norm;
    reports[i].lr = steps_[i].module_lr;
    for (const HalfDots& dots : half_dots(changes_[i], before_, module_of_, modules_)) {
      reports[i].cosine.push_back(cosine(dots));
    }
  }
  changes_.clear();
  before_.clear();
  return reports;
}

std::int64_t Shadows::weight_bytes() const {
  std::int64_t bytes = 0;
  for (const Parameter& p : parameters_) {
    bytes += p.tensor.numel() * static_cast<std::int64_t>(p.tensor.element_size());
  }
  return bytes;
}

std::int64_t Shadows::state_bytes() const {
  std::int64_t floats = 0;
  for (const auto& optimizer : optimizers_) {
    floats += optimizer->state_floats();
  }
  return floats * weight_bytes();
}

std::int64_t Shadows::scratch_bytes() const {
  return count() == 0 ? 0 : static_cast<std::int64_t>(count() + 1) * weight_bytes();
}

}  // namespace batchscope::optim
