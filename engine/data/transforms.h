#pragma once

#include "engine/data/dataset.h"
#include "models/detector.h"

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace batchscope::train {

/// Height and width after resizing: scale = min(min_size / short side, max_size / long side), each
/// side floor(side · scale) but at least 1. min_size 0: never enlarged, only the long side is
/// bounded; max_size 0: no bound; both 0: unchanged. Source: torchvision's
/// GeneralizedRCNNTransform.
std::pair<std::int64_t, std::int64_t> resized_size(std::int64_t height,
                                                   std::int64_t width,
                                                   std::int64_t min_size,
                                                   std::int64_t max_size);

/// Bilinear resizing by torch's own kernels. image: [3, H, W] uint8 or float32; returns
/// [3, height, width], the picture itself when its size is right. antialias: of the same type; else
/// as torchvision's GeneralizedRCNNTransform: always float32, in 0…1 of a uint8 picture.
torch::Tensor resize_picture(const torch::Tensor& image,
                             std::int64_t height,
                             std::int64_t width,
                             bool antialias);

/// A map of labels [H, W] of any whole-number type by nearest pixel, as torch's upsample_nearest2d
/// has it: source = floor(target · size / new size).
torch::Tensor resize_labels(const torch::Tensor& map, std::int64_t height, std::int64_t width);

/// Turns pictures into what a detector gets: (value in 0…1 - mean) / std per channel in float32.
/// Any thread.
class Normaliser {
 public:
  /// Throws std::invalid_argument unless mean and std have three values and std is positive.
  explicit Normaliser(const models::InputTransform& transform);
  /// Writes a [3, h, w] uint8 or float32 picture of any strides, mirrored if asked, into
  /// out [3, height, width], contiguous, zeros right of it and below it. h <= height, w <= width.
  void write(const torch::Tensor& image,
             bool mirror,
             float* out,
             std::int64_t height,
             std::int64_t width) const;

 private:
  std::array<float, 3> mean_{}, std_{};
  std::array<std::array<float, 256>, 3> table_{};  // of the 256 values of uint8 pictures
};

/// Boxes, labels, masks and semantic map of a sample after its picture was resized to height x
/// width and then mirrored if asked. Masks and map are resized by nearest pixel. Tensors that need
/// no change are shared.
models::Target transform_target(const Sample& sample,
                                std::int64_t height,
                                std::int64_t width,
                                bool mirror);

/// Sides of a batch that holds all these pictures (height, width), each a multiple of `divisor`.
std::pair<std::int64_t, std::int64_t> batch_size_of(
    const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes, std::int64_t divisor);

}  // namespace batchscope::train
