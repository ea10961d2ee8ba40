#include "app/predictor.h"

#include "app/relabelled_detector.h"
#include "engine/data/loader.h"
#include "engine/train/draw_objects.h"

#include <algorithm>

namespace batchscope::app {

Predictor::Predictor(const WeightsModel& subject, const ClassMatch& match, torch::Device device)
    : device_(device), classes_(match.classes), detector_(subject.model) {
  if (!match.same()) {
    detector_ = std::make_shared<RelabelledDetector>(detector_, match.labels);
  }
  for (std::size_t i = 0; i < classes_.ids.size(); ++i) {
    names_[classes_.ids[i]] = classes_.names[i];
  }
  transform_ = detector_->input_transform();
  detector_->to(device_);
  detector_->eval();
}

train::FoundObjects Predictor::predict(const torch::Tensor& image,
                                       std::int64_t id,
                                       double score_threshold) const {
  const train::PreparedPicture prepared = train::prepare_picture(image, transform_);
  const torch::Tensor batch =
      train::pad_batch({prepared.image}, transform_.size_divisor).to(device_);
  const models::Detection detection =
      detector_->detect(batch, {{prepared.image.size(1), prepared.image.size(2)}}).at(0);
  train::FoundObjects found = train::found_objects(
      detection,
      {id, image.size(1), image.size(2), prepared.scale_x, prepared.scale_y},
      [this](std::int64_t label) { return classes_.ids.at(static_cast<std::size_t>(label - 1)); });
  const auto below = std::find_if(
      found.objects.begin(), found.objects.end(), [score_threshold](const train::EvalDetection& d) {
        return d.score < score_threshold;
      });  // they come best first
  const auto kept = static_cast<std::size_t>(below - found.objects.begin());
  found.objects.resize(kept);
  found.masks.resize(std::min(found.masks.size(), kept));
  return found;
}

void Predictor::draw(const torch::Tensor& image,
                     const train::FoundObjects& found,
                     double score_threshold,
                     const std::string& file) const {
  train::draw_objects(image,
                      found,
                      {.score_threshold = score_threshold,
                       .name_of = [this](std::int64_t id) { return names_.at(id); }},
                      file);
}

}  // namespace batchscope::app
