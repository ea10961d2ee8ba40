#pragma once

#include "optim/lr_ramp.h"
#include "optim/optimizer.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace batchscope::optim {

/// kCarry: the matrix of algorithms.md 10.4 (both moments where both methods have them, bit for
/// bit). kConvert: only the mean gradient is kept, second moments are built anew from it. kReset:
/// nothing.
enum class StatePolicy { kCarry, kConvert, kReset };
enum class LrMapping { kMatchUpdate, kTargetNow, kRewarmup };
enum class DecayMapping { kMatch, kKeep, kTarget };

/// Start of a match_update ramp: rms(du_old)·lr_old / (rms(du_new)·lr_target) per module, capped to
/// [1e-6, 10]. du_old, du_new: updates at a rate of 1, one per tensor; module[i]: the module of
/// tensor i. A module whose rms or rate is zero or not finite warms up again (start 0); `rewarmup`
/// is true when all do. Throws std::invalid_argument for lists of different lengths.
LrRamp match_update_ramp(const std::vector<torch::Tensor>& du_old,
                         const std::vector<torch::Tensor>& du_new,
                         const std::vector<std::int64_t>& module,
                         std::int64_t modules,
                         double lr_old,
                         double lr_target,
                         std::int64_t length = 100);

/// Weight decay of the new method that shrinks weights per step as the old one does
/// (algorithms.md 10.5): shrink is lr·λ/(1-q) for SGD, times r for LARS, lr·λ for AdamW, lr·r·λ for
/// the LAMB family (SGD and LARS with dampening p: times 1 - p).
double shrink_per_step(const Options& options, double lr, double mean_trust);
double matched_weight_decay(const Options& from,
                            double lr_from,
                            double trust_from,
                            const Options& to,
                            double lr_to,
                            double trust_to);

/// A new optimizer over the same parameters with the old one's state carried, converted or reset
/// (algorithms.md 10.2 to 10.4). A switch to PMD-LAMB begins a period, whatever pmd_start says;
/// with the same method and kCarry it is load(save()) followed by set_options(). `from` is left as
/// it is, so undoing a switch is going on with it (or with its saved state).
std::unique_ptr<Optimizer> switch_optimizer(const Optimizer& from,
                                            const Options& to,
                                            const std::vector<Parameter>& parameters,
                                            std::int64_t modules,
                                            StatePolicy policy);

}  // namespace batchscope::optim
