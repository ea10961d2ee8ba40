#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace batchscope::models {

/// The truth of one picture, in pixels of the tensor that the detector gets.
struct Target {
  torch::Tensor boxes;   // [N, 4] float32, x1 y1 x2 y2, x2 > x1, y2 > y1
  torch::Tensor labels;  // [N] int64, 1…C; 0 is background
  torch::Tensor masks;   // [N, H, W] uint8, 0 or 1, of the picture without padding; or undefined
  /// [H, W] int16, of the picture without padding, or undefined: 0 is not labelled (ignored), 1…T
  /// the things' labels, T + 1…T + S the stuff's.
  torch::Tensor semantic;
};

/// What a detector finds in one picture, best first, in pixels of the tensor it was given.
struct Detection {
  torch::Tensor boxes;   // [N, 4] float32
  torch::Tensor labels;  // [N] int64, 1…C
  torch::Tensor scores;  // [N] float32, 0…1, descending
  // Of models with masks, else undefined: [N, M, M] float32 in the box; paste_masks() places them
  torch::Tensor mask_probabilities;
  // Of models that label every pixel, else undefined; in the classes of Target::semantic:
  torch::Tensor semantic;  // [H, W] int16, 1…T + S
  // Of panoptic models, else undefined:
  torch::Tensor segments;        // [H, W] int32: 0 is void, else 1…K
  torch::Tensor segment_labels;  // [K] int64, 1…T + S: the class of each segment
};

/// Named scalar losses in a fixed order per model ("loss_objectness", "loss_rpn_box_reg",
/// "loss_classifier", "loss_box_reg"); the training loss is their sum.
using Losses = std::vector<std::pair<std::string, torch::Tensor>>;

/// The trainable parameters of one module group ("backbone", "neck", "rpn_head", "roi_head", …).
struct ModuleGroup {
  std::string name;
  std::vector<std::string> parameter_names;
  std::vector<torch::Tensor> parameters;
};

/// How pictures have to be prepared for a detector: x = (picture in 0…1 - mean) / std per channel;
/// sides padded to a multiple of `size_divisor`. min_size 0: pictures keep their size.
struct InputTransform {
  std::vector<double> mean, std;
  std::int64_t min_size = 0, max_size = 0;
  std::int64_t size_divisor = 1;
  /// Bilinear resizing that averages where it shrinks; false: as torchvision's detectors do it,
  /// which its weights were trained with.
  bool antialias = true;
};

/// A detector for training and inference. One thread at a time.
class Detector : public torch::nn::Module {
 public:
  /// Losses of a micro-batch. images: [B, 3, H, W] float32, prepared by input_transform() and
  /// padded at the right and bottom; sizes: each picture's own height and width in it. All random
  /// choices come from `generator`, so they are a function of its seed alone. Each loss is a mean
  /// over the pictures of this micro-batch (models that normalise otherwise say so).
  virtual Losses losses(const torch::Tensor& images,
                        const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                        const std::vector<Target>& targets,
                        torch::Generator generator) = 0;
  /// Detections of each picture; no gradients are recorded.
  virtual std::vector<Detection> detect(
      const torch::Tensor& images,
      const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) = 0;
  /// Every trainable parameter in exactly one group; frozen ones in none. Index 0 is the default
  /// AGVM anchor.
  virtual std::vector<ModuleGroup> module_groups() const = 0;
  virtual InputTransform input_transform() const = 0;
  /// Names of the losses, in the order of losses().
  virtual std::vector<std::string> loss_names() const = 0;
};

}  // namespace batchscope::models
