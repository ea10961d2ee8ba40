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

/// Fixed pictures whose predictions are shown along a run. One thread.
class Probes {
 public:
  /// `count` pictures spread evenly over those that are evaluated.
  Probes(const Dataset& dataset, std::int64_t count, EvalOptions options);
  /// The pictures as PNG (long side at most 384 px) with their truth: boxes, masks, classes.
  std::vector<contract::ProbeRecord> records() const;
  /// Boxes of at least score 0.05, at most 50 a picture, their masks and the class of every pixel,
  /// in pixels of the stored PNG.
  std::vector<contract::PredictionRecord> predict(models::Detector& model,
                                                  std::int64_t segment,
                                                  std::int64_t step) const;

 private:
  struct Probe {
    contract::ProbeRecord record;
    torch::Tensor input;              // prepared, [3, h, w]
    double scale_x = 1, scale_y = 1;  // from input pixels to pixels of the PNG
  };
  std::vector<Probe> probes_;
  EvalOptions options_;
};

/// An RGB picture as PNG. image: [3, H, W] uint8, or float32 in 0…1.
std::string encode_png(const torch::Tensor& image);

}  // namespace batchscope::train
