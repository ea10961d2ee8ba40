#include "models/boxes.h"

#include <torch/types.h>

#include <cmath>

namespace batchscope::models {
namespace {

const double kMaxLogRatio = std::log(1000.0 / 16);

}  // namespace

torch::Tensor box_area(const torch::Tensor& boxes) {
  return (boxes.select(1, 2) - boxes.select(1, 0)) * (boxes.select(1, 3) - boxes.select(1, 1));
}

torch::Tensor box_iou(const torch::Tensor& a, const torch::Tensor& b) {
  const torch::Tensor low = torch::maximum(a.unsqueeze(1).narrow(2, 0, 2), b.narrow(1, 0, 2));
  const torch::Tensor high = torch::minimum(a.unsqueeze(1).narrow(2, 2, 2), b.narrow(1, 2, 2));
  const torch::Tensor sides = (high - low).clamp_min_(0);
  const torch::Tensor inter = sides.select(2, 0) * sides.select(2, 1);
  return inter / (box_area(a).unsqueeze(1) + box_area(b) - inter);
}

torch::Tensor clip_boxes(const torch::Tensor& boxes, std::int64_t height, std::int64_t width) {
  torch::Tensor clipped = boxes.clone();
  clipped.slice(1, 0, 4, 2).clamp_(0, width);
  clipped.slice(1, 1, 4, 2).clamp_(0, height);
  return clipped;
}

torch::Tensor large_boxes(const torch::Tensor& boxes, double min_size) {
  const torch::Tensor sides = boxes.narrow(1, 2, 2) - boxes.narrow(1, 0, 2);
  return (sides >= min_size).all(1).nonzero().view(-1);
}

torch::Tensor BoxCoder::encode(const torch::Tensor& boxes, const torch::Tensor& references) const {
  const torch::Tensor from_sides = references.narrow(1, 2, 2) - references.narrow(1, 0, 2);
  const torch::Tensor from_centres = references.narrow(1, 0, 2) + 0.5 * from_sides;
  const torch::Tensor sides = boxes.narrow(1, 2, 2) - boxes.narrow(1, 0, 2);
  const torch::Tensor centres = boxes.narrow(1, 0, 2) + 0.5 * sides;
  const torch::Tensor weights =
      torch::tensor(at::ArrayRef<double>(weights_.data(), 4), torch::kFloat64).to(boxes.options());
  return torch::cat({weights.narrow(0, 0, 2) * (centres - from_centres) / from_sides,
                     weights.narrow(0, 2, 2) * torch::log(sides / from_sides)},
                    1);
}

torch::Tensor BoxCoder::decode(const torch::Tensor& offsets,
                               const torch::Tensor& references) const {
  const torch::Tensor codes = offsets.reshape({references.size(0), offsets.size(1) / 4, 4});
  const torch::Tensor from = references.to(codes.dtype()).unsqueeze(1);
  const torch::Tensor from_sides = from.narrow(2, 2, 2) - from.narrow(2, 0, 2);
  const torch::Tensor from_centres = from.narrow(2, 0, 2) + 0.5 * from_sides;
  const torch::Tensor weights =
      torch::tensor(at::ArrayRef<double>(weights_.data(), 4), torch::kFloat64).to(codes.options());
  const torch::Tensor scaled = codes / weights;
  const torch::Tensor centres = scaled.narrow(2, 0, 2) * from_sides + from_centres;
  const torch::Tensor half =
      0.5 * (torch::exp(scaled.narrow(2, 2, 2).clamp_max(kMaxLogRatio)) * from_sides);
  return torch::cat({centres - half, centres + half}, 2);
}

}  // namespace batchscope::models
