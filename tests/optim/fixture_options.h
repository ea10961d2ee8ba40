#pragma once

#include "optim/optimizer.h"

#include <nlohmann/json.hpp>

#include <fstream>
#include <stdexcept>
#include <string>

namespace rig {

inline nlohmann::json read_fixture(const std::string& name) {
  std::ifstream in(std::string(BATCHSCOPE_FIXTURES) + "/optim/" + name);
  return nlohmann::json::parse(in);
}

/// Options from a fixture's object; keys are the member names.
inline batchscope::optim::Options options_from(const nlohmann::json& j) {
  using namespace batchscope::optim;
  Options o;
  o.method = method_from(j.at("method"));
  o.momentum = j.value("momentum", 0.9);
  o.dampening = j.value("dampening", 0.0);
  o.nesterov = j.value("nesterov", false);
  o.beta1 = j.value("beta1", 0.9);
  o.beta2 = j.value("beta2", 0.999);
  o.eps = j.value("eps", 1e-8);
  o.weight_decay = j.at("weight_decay");
  o.clip_norm = j.value("clip_norm", 0.0);
  o.clip_form = j.value("clip_form", "torch") == "lamb" ? ClipForm::kLamb : ClipForm::kTorch;
  o.trust_clamp = j.value("trust_clamp", true);
  o.trust_min = j.value("trust_min", 0.01);
  o.trust_max = j.value("trust_max", 10.0);
  o.exclude_1d = j.value("exclude_1d", true);
  o.always_adapt = j.value("always_adapt", false);
  o.bias_correction = j.value("bias_correction", true);
  o.skip_dead = j.value("skip_dead", true);
  o.trust_coefficient = j.value("trust_coefficient", 0.001);
  o.lars_clip = j.value("lars_clip", false);
  o.compat_ratio1 = j.value("compat_ratio1", false);
  o.pmd_period = j.value("pmd_period", 200);
  o.pmd_start = j.value("pmd_start", 0);
  o.pmd_curve = j.value("pmd_curve", "cosine") == "linear" ? PmdCurve::kLinear : PmdCurve::kCosine;
  o.pmd_hit_zero = j.value("pmd_hit_zero", false);
  const std::string variant = j.value("pmd_variant", "moment_scale");
  o.pmd_variant = variant == "readout"      ? PmdVariant::kReadout
                  : variant == "beta_scale" ? PmdVariant::kBetaScale
                                            : PmdVariant::kMomentScale;
  return o;
}

/// Largest |w - golden| over the tensors, each divided by the tensor's largest golden element.
inline double distance(const std::vector<torch::Tensor>& weights, const nlohmann::json& golden) {
  double worst = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto values = golden.at(i).get<std::vector<double>>();
    const torch::Tensor want = torch::tensor(values, torch::kDouble);
    const torch::Tensor have = weights[i].to(torch::kDouble).reshape({-1});
    const double gap = ((have - want).abs().max() / want.abs().max()).item<double>();
    worst = std::isfinite(gap) ? std::max(worst, gap) : HUGE_VAL;
  }
  return worst;
}

}  // namespace rig
