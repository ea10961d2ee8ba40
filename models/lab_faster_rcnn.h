#pragma once

#include "models/factory.h"
#include "models/layers.h"

#include <array>
#include <memory>

namespace batchscope::models {

/// A two-stage detector of 35 thousand parameters on which a whole large-batch experiment takes
/// seconds: five convolutions with GroupNorm, two pyramid levels (strides 4 and 8), one anchor per
/// cell, RoIAlign 3x3 on the finer level, two hidden layers of 48.
///
/// Network, initial weights, RoI choice, loss constants and box coding are those of the lab script
/// (tests/fixtures/models/make_lab.py says how its values are made). Pictures of any size are
/// accepted whose padded sides are multiples of 8. Truth is padded to three boxes a picture, or to
/// the largest count of the micro-batch, and the number of regions follows: losses are means over
/// the pictures of the micro-batch for up to three boxes each.
class LabFasterRcnn : public Detector {
 public:
  /// The weights are those of the script after torch.manual_seed(1000 + options.seed).
  explicit LabFasterRcnn(const ModelOptions& options);

  Losses losses(const torch::Tensor& images,
                const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                const std::vector<Target>& targets,
                torch::Generator generator) override;
  /// Up to 12 regions a picture (nms 0.7 among the best 30), one class each, score > 0.05, nms 0.5
  /// within a class. A picture whose network output is not finite has no detections.
  std::vector<Detection> detect(
      const torch::Tensor& images,
      const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) override;
  std::vector<ModuleGroup> module_groups() const override;
  InputTransform input_transform() const override;
  std::vector<std::string> loss_names() const override;

 private:
  struct FirstStage {
    torch::Tensor features;  // [n, 16, H / 4, W / 4]
    torch::Tensor head;      // [n, 5, A]: logit, dx, dy, dw, dh of each anchor
  };
  FirstStage first_stage(const torch::Tensor& images);
  /// rois: [K, 5]; returns [K, C + 1 + 4]: class logits (background last), box offsets.
  torch::Tensor second_stage(const torch::Tensor& features, const torch::Tensor& rois);
  void initialise(std::uint64_t seed);
  /// Building a layer draws weights in Python that initialise() overwrites: drawing them here too
  /// keeps the streams in step.
  void draw_defaults(torch::Generator& generator);
  template <typename T>
  Losses typed_losses(const torch::Tensor& images,
                      const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                      const std::vector<Target>& targets,
                      torch::Generator& generator);
  template <typename T>
  std::vector<Detection> typed_detect(
      const torch::Tensor& images, const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes);

  ModelOptions options_;
  std::array<ConvBlock, 5> backbone_{nullptr, nullptr, nullptr, nullptr, nullptr};
  Conv lat3_ = nullptr, lat4_ = nullptr, out3_ = nullptr, out4_ = nullptr;
  Conv rpn_conv_ = nullptr, rpn_obj_ = nullptr, rpn_box_ = nullptr;
  Dense fc1_ = nullptr, fc2_ = nullptr, cls_ = nullptr, box_ = nullptr;
};

}  // namespace batchscope::models
