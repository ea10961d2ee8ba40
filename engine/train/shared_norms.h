#pragma once

#include "engine/data/loader.h"
#include "engine/distributed/group.h"
#include "models/detector.h"
#include "models/sync_batch_norm.h"

#include <memory>

namespace batchscope::train {

/// The batch statistics that ranks share in a training whose model has model.norm = "syncbn": every
/// pass over a micro-batch is one of all ranks that share. Training thread only.
class SharedNorms {
 public:
  /// Of `each` neighbouring ranks; 0: all. `group`: of the whole training; all ranks construct it
  /// together. A model without such norms, or one rank alone, shares nothing.
  /// each: a divisor of the group's size, or more than it (then all).
  SharedNorms(models::Detector& model, Group& group, std::int64_t each);

  /// Passes of this step in which other ranks have a micro-batch and this one has none. They come
  /// before this rank's own: the last passes of all ranks, which sum the gradients too, coincide.
  std::int64_t idle_passes(const StepPlan& plan) const;
  /// Takes part in such a pass: adds nothing to the statistics, and leaves all gradients alone.
  void pass_without_pictures(const torch::Device& device, torch::ScalarType dtype);

 private:
  models::Detector& model_;
  std::int64_t world_;
  std::shared_ptr<Group> part_;  // null: nothing is shared
  std::shared_ptr<models::SharedStatistics> shared_;
};

}  // namespace batchscope::train
