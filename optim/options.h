#pragma once

#include <cstdint>
#include <string>

namespace batchscope::optim {

enum class Method { kSgd, kAdamW, kLars, kLamb, kPmdLamb };
enum class PmdVariant { kMomentScale, kBetaScale, kReadout };
enum class PmdCurve { kCosine, kLinear };
/// kInside: in u; kDecoupled: w·(1 - lr·lambda) before it; kL2: in the gradient.
enum class LambDecay { kInside, kDecoupled, kL2 };
enum class ClipForm { kTorch, kLamb };

/// Hyper-parameters of every method; each method reads its own. Defaults are the product's
/// (algorithms.md 1 to 6).
struct Options {
  Method method = Method::kSgd;
  double momentum = 0.9, dampening = 0;
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 1e-4;
  double clip_norm = 0;  // 0: off
  ClipForm clip_form = ClipForm::kTorch;
  // LAMB family
  bool trust_clamp = true;
  double trust_min = 0.01, trust_max = 10;
  bool exclude_1d = true;  // 1-D tensors: trust 1 and no decay (LARS too)
  bool always_adapt = false;
  bool bias_correction = true;
  bool folded_bias = false;    // its correction is a factor on the rate (DeepSpeed)
  bool grad_averaging = true;  // false: the new gradient counts 1, not 1 - beta1
  LambDecay decay = LambDecay::kInside;
  bool skip_dead = true;  // leave weights alone that have neither gradient nor moment
  // LARS
  double trust_coefficient = 0.001;
  bool lars_pre = false;            // the rate enters the buffer (paper, NVCaffe)
  bool lars_clip = false;           // ratio min(r/lr, 1)
  bool lars_decay_in_ratio = true;  // lambda·|w| in the ratio's denominator
  bool lars_always_adapt = true;    // scale also without weight decay
  bool compat_untouched = false;    // a zero norm: neither scaling nor decay (apex)
  bool compat_ratio1 = false;       // ratio 1 for a zero gradient; else its decay is skipped
  // PMD-LAMB
  std::int64_t pmd_period = 200;
  std::int64_t pmd_start = 0;  // applied updates before the first period
  PmdCurve pmd_curve = PmdCurve::kCosine;
  PmdVariant pmd_variant = PmdVariant::kMomentScale;
  bool pmd_hit_zero = false;
};

/// Throws std::invalid_argument naming the option that is out of range.
void check_options(const Options& options);

/// "sgd", "adamw", "lars", "lamb", "pmd_lamb" and back; throws std::invalid_argument with the known
/// names.
Method method_from(const std::string& name);
std::string to_string(Method method);

}  // namespace batchscope::optim
