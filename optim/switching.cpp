#include "optim/switching.h"

#include "optim/adaptive.h"
#include "optim/kernels/update_math.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace batchscope::optim {

namespace {

constexpr double kLowestFactor = 1e-6, kHighestFactor = 10;

/// Sum of squares and number of elements of the tensors of each module.
struct Squares {
  std::vector<double> sum, elements;
  double rms(std::size_t m) const {
    return elements[m] > 0 ? std::sqrt(sum[m] / elements[m]) : 0.0;
  }
};

Squares squares_of(const std::vector<torch::Tensor>& tensors,
                   const std::vector<std::int64_t>& module,
                   std::int64_t modules) {
  if (tensors.size() != module.size()) {
    throw std::invalid_argument("switch: expected " + std::to_string(module.size()) +
                                " updates, found " + std::to_string(tensors.size()));
  }
  Squares s;
  s.sum.assign(static_cast<std::size_t>(modules), 0.0);
  s.elements.assign(static_cast<std::size_t>(modules), 0.0);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto m = static_cast<std::size_t>(module[i]);
    if (module[i] < 0 || module[i] >= modules) {
      throw std::invalid_argument("switch: module " + std::to_string(module[i]) +
                                  " is not in [0, " + std::to_string(modules) + ")");
    }
    const auto norm = tensors[i].norm(2, torch::kDouble).item<double>();
    s.sum[m] += norm * norm;
    s.elements[m] += static_cast<double>(tensors[i].numel());
  }
  return s;
}

/// kConvert: the mean gradients alone; second moments are built anew from them.
std::vector<CanonicalState> directions_only(std::vector<CanonicalState> list) {
  for (CanonicalState& s : list) {
    s.vhat = torch::Tensor();
    s.mass2 = s.squares2 = 0;
  }
  return list;
}

}  // namespace

LrRamp match_update_ramp(const std::vector<torch::Tensor>& du_old,
                         const std::vector<torch::Tensor>& du_new,
                         const std::vector<std::int64_t>& module,
                         std::int64_t modules,
                         double lr_old,
                         double lr_target,
                         std::int64_t length) {
  const Squares before = squares_of(du_old, module, modules);
  const Squares after = squares_of(du_new, module, modules);
  LrRamp ramp;
  ramp.length = length;
  ramp.rewarmup = true;
  for (std::size_t m = 0; m < static_cast<std::size_t>(modules); ++m) {
    const double a = before.rms(m) * lr_old, b = after.rms(m) * lr_target;
    const bool known = std::isfinite(a) && std::isfinite(b) && a > 0 && b > 0;
    ramp.start.push_back(known ? std::clamp(a / b, kLowestFactor, kHighestFactor) : 0.0);
    ramp.rewarmup = ramp.rewarmup && !known;
  }
  return ramp;
}

double shrink_per_step(const Options& options, double lr, double mean_trust) {
  const double plain = lr * options.weight_decay;
  const double damping = options.momentum == 0 ? 0.0 : options.dampening;
  const double gain = (1 - damping) / (1 - options.momentum);
  switch (options.method) {
    case Method::kSgd:
      return plain * gain;
    case Method::kLars:
      return plain * gain * mean_trust;
    case Method::kAdamW:
      return plain;
    case Method::kLamb:
    case Method::kPmdLamb:
      return plain * mean_trust;
  }
  return plain;
}

double matched_weight_decay(const Options& from,
                            double lr_from,
                            double trust_from,
                            const Options& to,
                            double lr_to,
                            double trust_to) {
  Options unit = to;
  unit.weight_decay = 1;
  const double per_decay = shrink_per_step(unit, lr_to, trust_to);
  const double matched = shrink_per_step(from, lr_from, trust_from) / per_decay;
  return std::isfinite(matched) ? matched : to.weight_decay;
}

std::unique_ptr<Optimizer> switch_optimizer(const Optimizer& from,
                                            const Options& to,
                                            const std::vector<Parameter>& parameters,
                                            std::int64_t modules,
                                            StatePolicy policy) {
  std::unique_ptr<Optimizer> next = make_optimizer(to, parameters, modules);
  const Method old = from.options().method;
  if (auto* flat = dynamic_cast<FlatOptimizer*>(next.get())) {
    flat->set_t(from.t());
  }
  if (policy == StatePolicy::kReset) {
    next->set_canonical({});
    return next;
  }
  if (policy == StatePolicy::kConvert) {
    next->set_canonical(directions_only(from.canonical()));
    return next;
  }
  if (old == to.method) {
    next = make_optimizer(from.options(), parameters, modules);
    next->load(from.save());
    next->set_options(to);
    return next;
  }
  const auto* adaptive_from = dynamic_cast<const AdaptiveOptimizer*>(&from);
  auto* adaptive_to = dynamic_cast<AdaptiveOptimizer*>(next.get());
  if (adaptive_from != nullptr && adaptive_to != nullptr) {
    adaptive_to->adopt(*adaptive_from);
  } else {
    next->set_canonical(from.canonical());
  }
  return next;
}

}  // namespace batchscope::optim
