#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::optim {

/// kRamp: lr·(it + 1)/N, the full rate in the last update of the warm-up.
enum class Warmup { kNone, kLinear, kExp, kConstantSpeed, kRamp };
enum class Decay { kNone, kStep, kCosine, kPoly };
enum class LrRule { kNone, kLinear, kSqrt, kMixed };

/// lr for batch `batch` from lr at `base_batch` (algorithms.md 1.1).
double scaled_lr(LrRule rule, double lr, std::int64_t batch, std::int64_t base_batch);

/// A learning-rate schedule over pictures. All lengths are pictures; `batch` is the effective batch
/// of the moment, which turns pictures into the fractional iteration it = images / batch of the
/// formulas (N = warmup_images / warm-up batch).
struct Schedule {
  Warmup warmup = Warmup::kRamp;
  std::int64_t warmup_images = 0;
  std::int64_t warmup_batch =
      1;  // effective batch at the start of the run: N = warmup_images / warmup_batch
  double warmup_ratio = 0.001;  // linear, exp: first rate / target
  double warmup_from = 0;       // constant_speed: rate of the first update
  Decay decay = Decay::kCosine;
  std::vector<std::int64_t> milestones;  // pictures
  double factor = 0.1, power = 1;
  std::int64_t total_images = 0;
};

/// Rate of the update that starts after `images` pictures were consumed: the decayed rate, through
/// the warm-up while images < warmup_images (algorithms.md 1.2; kRamp: lr·(it + 1)/N). Cosine and
/// poly run from the end of the warm-up to total_images, where they are 0.
double scheduled_lr(const Schedule& schedule, double lr, std::int64_t images);

/// Coefficient c of PMD-LAMB for 0-based phase k of period T (algorithms.md 6.2).
/// cosine: 0.5·(1 + cos(pi·k/T)), else 1 - k/T; hit_zero: T - 1 in the denominator, so the last
/// phase gives 0. Throws std::invalid_argument unless 0 <= k < T.
double pmd_coefficient(std::int64_t k, std::int64_t period, bool cosine, bool hit_zero);

/// The enumerator of a name as in the RunSpec; throws std::invalid_argument with the known names.
Warmup warmup_from(const std::string& name);
Decay decay_from(const std::string& name);
LrRule lr_rule_from(const std::string& name);

}  // namespace batchscope::optim
