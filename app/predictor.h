#pragma once

#include "app/weights_model.h"
#include "engine/train/found_objects.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace batchscope::app {

/// A detector that is used on one picture after the other. Its classes are those of the match. One
/// thread.
class Predictor {
 public:
  Predictor(const WeightsModel& subject, const ClassMatch& match, torch::Device device);

  /// What is in a picture ([3, H, W] uint8), but for objects below a score.
  train::FoundObjects predict(const torch::Tensor& image,
                              std::int64_t id,
                              double score_threshold) const;
  /// draw_objects() with the names of the classes.
  void draw(const torch::Tensor& image,
            const train::FoundObjects& found,
            double score_threshold,
            const std::string& file) const;

 private:
  torch::Device device_;
  train::ClassList classes_;
  std::map<std::int64_t, std::string> names_;  // of the ids
  std::shared_ptr<models::Detector> detector_;
  models::InputTransform transform_;
};

}  // namespace batchscope::app
