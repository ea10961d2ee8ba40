#pragma once

#include "models/detector.h"

#include <torch/types.h>

namespace batchscope::models {

/// The three limits of the merge; the values are detectron2's.
struct PanopticMergeOptions {
  double min_score = 0.5;              // things below it are left out
  double max_overlap = 0.5;            // a thing hidden by more of its area is left out
  std::int64_t min_stuff_area = 4096;  // px; smaller regions of stuff stay void
};

struct PanopticSegments {
  torch::Tensor map;     // [H, W] int32: 0 is void, else 1…K
  torch::Tensor labels;  // [K] int64
};

/// Things and stuff as segments that do not overlap: things first, best first, each on the pixels
/// that are still free; then every class of stuff on what is left of its pixels. things: labels and
/// scores [N], descending; masks: of as many of them as may join, at least those of min_score,
/// [n, H, W] uint8; stuff: [H, W] int64, the label of the stuff at each pixel or 0 where there is
/// none. All on the CPU. Source: Kirillov et al. 2019, Panoptic Segmentation, section 5;
/// combine_semantic_and_instance_outputs of detectron2, which merges at the size of the stored
/// picture, and here it is the resized one.
PanopticSegments merge_panoptic(const Detection& things,
                                const torch::Tensor& masks,
                                const torch::Tensor& stuff,
                                const PanopticMergeOptions& options);

}  // namespace batchscope::models
