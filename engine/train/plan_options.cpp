#include "engine/train/plan_options.h"

#include "engine/contract/error.h"

#include <algorithm>

namespace batchscope::train {

optim::Options optimizer_options(const contract::RunSpec& spec,
                                 const contract::ResolvedPlan& plan) {
  const contract::OptimSection& o = spec.optim;
  optim::Options options;
  options.method = optim::method_from(o.name);
  options.momentum = o.momentum;
  options.dampening = o.dampening;
  options.nesterov = o.nesterov;
  options.beta1 = o.betas[0];
  options.beta2 = o.betas[1];
  options.eps = plan.eps;
  options.weight_decay = o.weight_decay;
  options.clip_norm = o.clip_norm;
  options.clip_form = plan.clip_form == "lamb" ? optim::ClipForm::kLamb : optim::ClipForm::kTorch;
  const bool lars = options.method == optim::Method::kLars;
  options.exclude_1d = lars ? o.lars.exclude_1d : o.lamb.exclude_1d;
  options.trust_clamp = o.lamb.trust_clamp;
  options.trust_min = o.lamb.trust_min;
  options.trust_max = o.lamb.trust_max;
  options.always_adapt = o.lamb.always_adapt;
  options.bias_correction = o.lamb.bias_correction;
  options.folded_bias = o.lamb.folded_bias;
  options.grad_averaging = o.lamb.grad_averaging;
  options.decay = o.lamb.decay == "decoupled" ? optim::LambDecay::kDecoupled
                  : o.lamb.decay == "l2"      ? optim::LambDecay::kL2
                                              : optim::LambDecay::kInside;
  options.skip_dead = o.lamb.skip_dead;
  options.trust_coefficient = o.lars.trust_coefficient;
  options.lars_pre = o.lars.form == "pre";
  options.lars_clip = o.lars.clip;
  options.lars_decay_in_ratio = o.lars.decay_in_ratio;
  options.lars_always_adapt = o.lars.always_adapt;
  options.compat_untouched = o.lars.compat_untouched;
  options.compat_ratio1 = o.lars.compat_ratio1;
  options.pmd_period = plan.pmd_period;
  options.pmd_start = plan.pmd_start;
  options.pmd_curve = o.pmd.curve == "linear" ? optim::PmdCurve::kLinear : optim::PmdCurve::kCosine;
  options.pmd_variant = o.pmd.variant == "beta_scale" ? optim::PmdVariant::kBetaScale
                        : o.pmd.variant == "readout"  ? optim::PmdVariant::kReadout
                                                      : optim::PmdVariant::kMomentScale;
  options.pmd_hit_zero = o.pmd.hit_zero;
  return options;
}

optim::AgvmOptions agvm_options(const contract::RunSpec& spec,
                                const contract::ResolvedPlan& plan,
                                const std::vector<std::string>& modules) {
  const contract::AgvmSection& a = spec.optim.agvm;
  optim::AgvmOptions options;
  options.enabled = a.enabled;
  options.observe = a.observe;
  options.interval = a.interval;
  options.alpha = a.alpha;
  options.start = plan.agvm_start;
  options.stop = plan.agvm_stop;
  options.clamp_low = a.clamp[0];
  options.clamp_high = a.clamp[1];
  const auto anchor = std::find(modules.begin(), modules.end(), a.anchor);
  options.anchor = anchor == modules.end() ? 0 : anchor - modules.begin();
  return options;
}

optim::Schedule make_schedule(const contract::RunSpec& spec, const contract::ResolvedPlan& plan) {
  const contract::ScheduleSection& s = spec.schedule;
  optim::Schedule schedule;
  schedule.warmup = optim::warmup_from(s.warmup.kind);
  schedule.warmup_images = plan.warmup_images;
  schedule.warmup_batch = plan.effective_batch;
  schedule.warmup_ratio = s.warmup.ratio;
  schedule.warmup_from = s.warmup.from;
  schedule.decay = optim::decay_from(s.decay.kind);
  schedule.milestones = plan.decay_images;
  schedule.factor = s.decay.factor;
  schedule.power = s.decay.power;
  schedule.total_images = plan.total_images;
  return schedule;
}

void check_trainable(const contract::RunSpec& spec) {
  if (spec.batch.loss_normaliser != "per_micro") {
    throw contract::SpecError("batch.loss_normaliser",
                              "batch.loss_normaliser = \"" + spec.batch.loss_normaliser +
                                  "\" cannot be trained with " + spec.model.name +
                                  ": its losses are means over the pictures of a micro-batch, "
                                  "expected \"per_micro\".");
  }
  if (spec.precision.mode == "bf16" && spec.model.name.starts_with("lab_")) {
    throw contract::SpecError("precision.mode",
                              "precision.mode = \"bf16\" cannot be trained with " +
                                  spec.model.name +
                                  ", whose fused kernels are float32: expected \"fp32\", or "
                                  "another model.");
  }
}

}  // namespace batchscope::train
