#pragma once

#include "engine/data/dataset.h"
#include "engine/metrics/coco_metrics.h"
#include "models/detector.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace batchscope::train {

/// What a detector found in one picture, in pixels of the stored picture. No torch.
struct FoundObjects {
  std::vector<EvalDetection> objects;  // best first
  std::vector<Rle> masks;              // of the objects, of models with masks; else empty
  std::optional<LabelMap> semantic;    // labels 1…C
  std::optional<PanopticTruth> segments;
};

/// The stored picture's id and size, and what its detector's pixels are of it.
struct PictureFrame {
  std::int64_t id = 0;
  std::int64_t height = 0, width = 0;
  double scale_x = 1, scale_y = 1;  // tensor pixels per stored pixel
};

/// A detection as it is measured and written: boxes divided by the scale, masks pasted at the
/// stored size (probability above 0.5), maps resized by nearest pixel. `category_of` gives the
/// category id of a label.
FoundObjects found_objects(const models::Detection& detection,
                           const PictureFrame& picture,
                           const std::function<std::int64_t(std::int64_t)>& category_of);

}  // namespace batchscope::train
