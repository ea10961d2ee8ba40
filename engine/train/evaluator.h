#pragma once

#include "engine/contract/records.h"
#include "engine/data/dataset.h"
#include "engine/distributed/group.h"
#include "models/detector.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace batchscope::train {

struct EvalOptions {
  std::int64_t max_pictures = 0;  // 0: all
  std::int64_t batch = 0;         // pictures per forward; 0: by their size
  double max_broken = 0;          // share of the pictures that may be unreadable: allowed_broken()
  models::InputTransform transform;
  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat32;
  std::chrono::milliseconds keep_alive{1000};  // of ranks that wait for the figures
};

struct EvalResult {
  std::map<std::string, double> metrics;  // score_blocks(), on every rank
  std::int64_t pictures = 0;              // those that the figures are of
  double seconds = 0;
  std::vector<std::string> left_out;  // a sentence for each picture that could not be read
};

/// Detects in every picture of the set exactly once, shared among the ranks in blocks that do not
/// depend on their number, and gives the figures of score_blocks(). Called by all ranks together,
/// which wait for each other after each block: a lost or silent one is a contract::PeerError on the
/// others within the group's timeout; on rank 0, while it computes the figures, once it has them.
/// `beat` is called after every block, and each `keep_alive` while the figures are computed. The
/// model is left in training mode. Pictures that cannot be read are left out, truth and all; with
/// more of them than are allowed it is a contract::DataError on all ranks.
EvalResult evaluate(models::Detector& model,
                    const Dataset& dataset,
                    Group& group,
                    const EvalOptions& options,
                    const std::function<void()>& beat = nullptr);

}  // namespace batchscope::train
