#pragma once

#include <torch/types.h>

#include <array>
#include <cstdint>

/// Boxes are [N, 4] tensors, x1 y1 x2 y2 in pixels, of any floating dtype and device. Source of
/// every function: torchvision 0.26 (ops/boxes.py, models/detection/_utils.py).
namespace batchscope::models {

/// [N] areas.
torch::Tensor box_area(const torch::Tensor& boxes);

/// [N, M] intersection over union of every pair.
torch::Tensor box_iou(const torch::Tensor& a, const torch::Tensor& b);

/// The boxes cut at 0…width and 0…height.
torch::Tensor clip_boxes(const torch::Tensor& boxes, std::int64_t height, std::int64_t width);

/// Indices of the boxes whose sides are both >= min_size.
torch::Tensor large_boxes(const torch::Tensor& boxes, double min_size);

/// How boxes are written as offsets from reference boxes: differences of centres over the
/// reference's sides and logarithms of the ratios of sides, each times its weight.
class BoxCoder {
 public:
  /// weights: of x, y, width, height.
  explicit BoxCoder(std::array<double, 4> weights) : weights_(weights) {}
  /// [N, 4] boxes against [N, 4] references -> [N, 4] offsets.
  torch::Tensor encode(const torch::Tensor& boxes, const torch::Tensor& references) const;
  /// [N, 4·K] offsets (K sets per reference) and [N, 4] references -> [N, K, 4] boxes. Sides grow
  /// by a factor of at most 1000 / 16.
  torch::Tensor decode(const torch::Tensor& offsets, const torch::Tensor& references) const;

 private:
  std::array<double, 4> weights_;
};

}  // namespace batchscope::models
