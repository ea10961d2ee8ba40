#include "engine/train/found_objects.h"

#include "engine/data/transforms.h"
#include "models/mask_head.h"

namespace batchscope::train {
namespace {

/// Masks pasted at once: 16 of a picture of 640 x 480 are 20 MB.
constexpr std::int64_t kPixelsAtOnce = std::int64_t{5} << 20;

std::vector<EvalDetection> boxes_of(const models::Detection& detection,
                                    const PictureFrame& picture,
                                    const std::function<std::int64_t(std::int64_t)>& category_of) {
  const auto boxes = detection.boxes.to(torch::kCPU, torch::kFloat64).contiguous();
  const auto labels = detection.labels.to(torch::kCPU, torch::kInt64).contiguous();
  const auto scores = detection.scores.to(torch::kCPU, torch::kFloat64).contiguous();
  std::vector<EvalDetection> objects;
  const auto* box = boxes.const_data_ptr<double>();
  for (std::int64_t k = 0; k < boxes.size(0); ++k, box += 4) {
    EvalDetection d;
    d.image = picture.id;
    d.category = category_of(labels.const_data_ptr<std::int64_t>()[k]);
    d.x = box[0] / picture.scale_x;
    d.y = box[1] / picture.scale_y;
    d.w = (box[2] - box[0]) / picture.scale_x;
    d.h = (box[3] - box[1]) / picture.scale_y;
    d.score = scores.const_data_ptr<double>()[k];
    objects.push_back(d);
  }
  return objects;
}

std::vector<Rle> masks_of(const models::Detection& detection, const PictureFrame& picture) {
  // As torchvision multiplies: what lay on the border does so again, and pasting cuts to whole px.
  const double x = 1 / picture.scale_x, y = 1 / picture.scale_y;
  const torch::Tensor ratios = torch::tensor({x, y, x, y}, torch::kFloat64).to(torch::kFloat32);
  const torch::Tensor boxes = detection.boxes.to(torch::kCPU, torch::kFloat32).mul(ratios);
  const torch::Tensor bins = detection.mask_probabilities.to(torch::kCPU, torch::kFloat32);
  const auto height = static_cast<std::uint32_t>(picture.height);
  const auto width = static_cast<std::uint32_t>(picture.width);
  const std::int64_t pixels = picture.height * picture.width;
  const std::int64_t part =
      std::max<std::int64_t>(1, kPixelsAtOnce / std::max<std::int64_t>(1, pixels));
  std::vector<Rle> masks;
  for (std::int64_t first = 0; first < boxes.size(0); first += part) {
    const std::int64_t count = std::min(part, boxes.size(0) - first);
    const torch::Tensor inside = models::paste_masks(
        bins.narrow(0, first, count), boxes.narrow(0, first, count), picture.height, picture.width);
    const auto* mask = inside.const_data_ptr<std::uint8_t>();
    for (std::int64_t k = 0; k < count; ++k, mask += pixels) {
      masks.push_back(rle_from_mask({mask, static_cast<std::size_t>(pixels)}, height, width));
    }
  }
  return masks;
}

LabelMap map_of(const torch::Tensor& labels, const PictureFrame& picture) {
  const torch::Tensor stored =
      resize_labels(labels.to(torch::kCPU, torch::kInt32), picture.height, picture.width)
          .contiguous();
  const auto* label = stored.const_data_ptr<std::int32_t>();
  return {static_cast<std::uint32_t>(picture.height),
          static_cast<std::uint32_t>(picture.width),
          {label, label + stored.numel()}};
}

PanopticTruth segments_of(const models::Detection& detection,
                          const PictureFrame& picture,
                          const std::function<std::int64_t(std::int64_t)>& category_of) {
  PanopticTruth found{map_of(detection.segments, picture), {}};
  const auto labels = detection.segment_labels.to(torch::kCPU, torch::kInt64).contiguous();
  std::vector<bool> seen(static_cast<std::size_t>(labels.numel()) + 1);
  for (const std::uint32_t id : found.map.labels) {
    seen.at(id) = true;
  }
  for (std::int64_t k = 0; k < labels.numel(); ++k) {
    // A thin segment may have lost its last pixel when the map was made smaller.
    if (seen[static_cast<std::size_t>(k) + 1]) {
      found.segments.push_back({static_cast<std::uint32_t>(k) + 1,
                                category_of(labels.const_data_ptr<std::int64_t>()[k])});
    }
  }
  return found;
}

}  // namespace

FoundObjects found_objects(const models::Detection& detection,
                           const PictureFrame& picture,
                           const std::function<std::int64_t(std::int64_t)>& category_of) {
  FoundObjects found;
  found.objects = boxes_of(detection, picture, category_of);
  if (detection.mask_probabilities.defined()) {
    found.masks = masks_of(detection, picture);
  }
  if (detection.semantic.defined()) {
    found.semantic = map_of(detection.semantic, picture);
  }
  if (detection.segments.defined()) {
    found.segments = segments_of(detection, picture, category_of);
  }
  return found;
}

}  // namespace batchscope::train
