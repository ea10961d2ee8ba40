#pragma once

#include "engine/contract/records.h"
#include "engine/train/evaluator.h"

#include <cstdint>
#include <vector>

namespace batchscope::train {

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
