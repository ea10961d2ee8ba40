#include "optim/optimizer.h"

#include "optim/adaptive.h"
#include "optim/momentum.h"

#include <stdexcept>

namespace batchscope::optim {

namespace {

constexpr std::pair<const char*, Method> kMethods[] = {{"sgd", Method::kSgd},
                                                       {"adamw", Method::kAdamW},
                                                       {"lars", Method::kLars},
                                                       {"lamb", Method::kLamb},
                                                       {"pmd_lamb", Method::kPmdLamb}};

void in_range(bool ok, const char* name, double value, const char* range) {
  if (!ok) {
    throw std::invalid_argument(std::string("optimizer: ") + name + " must be " + range +
                                ", found " + std::to_string(value));
  }
}

void fraction(const char* name, double value) {
  in_range(value >= 0 && value < 1, name, value, "in [0, 1)");
}

}  // namespace

void check_options(const Options& o) {
  fraction("momentum", o.momentum);
  fraction("dampening", o.dampening);
  fraction("beta1", o.beta1);
  fraction("beta2", o.beta2);
  in_range(!o.nesterov || (o.momentum > 0 && o.dampening == 0),
           "momentum",
           o.momentum,
           "above 0 without dampening for nesterov");
  const bool adaptive = o.method != Method::kSgd && o.method != Method::kLars;
  in_range(adaptive ? o.eps > 0 : o.eps >= 0, "eps", o.eps, adaptive ? "above 0" : "at least 0");
  in_range(o.weight_decay >= 0, "weight_decay", o.weight_decay, "at least 0");
  in_range(o.clip_norm >= 0, "clip_norm", o.clip_norm, "at least 0");
  in_range(o.trust_min >= 0, "trust_min", o.trust_min, "at least 0");
  in_range(o.trust_max >= o.trust_min, "trust_max", o.trust_max, "at least trust_min");
  in_range(o.trust_coefficient > 0, "trust_coefficient", o.trust_coefficient, "above 0");
  in_range(o.pmd_period >= 1, "pmd_period", static_cast<double>(o.pmd_period), "at least 1");
  in_range(o.pmd_start >= 0, "pmd_start", static_cast<double>(o.pmd_start), "at least 0");
}

std::unique_ptr<Optimizer> make_optimizer(const Options& options,
                                          const std::vector<Parameter>& parameters,
                                          std::int64_t modules) {
  if (options.method == Method::kSgd || options.method == Method::kLars) {
    return std::make_unique<MomentumOptimizer>(options, parameters, modules);
  }
  return std::make_unique<AdaptiveOptimizer>(options, parameters, modules);
}

Method method_from(const std::string& name) {
  std::string names;
  for (const auto& [key, method] : kMethods) {
    if (name == key) {
      return method;
    }
    names += names.empty() ? key : std::string(", ") + key;
  }
  throw std::invalid_argument("optimizer \"" + name + "\" is not known; known: " + names);
}

std::string to_string(Method method) {
  for (const auto& [key, known] : kMethods) {
    if (known == method) {
      return key;
    }
  }
  return "unknown";
}

}  // namespace batchscope::optim
