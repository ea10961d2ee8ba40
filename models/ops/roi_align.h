#pragma once

#include <torch/types.h>

namespace batchscope::models {

struct RoiAlignOptions {
  std::int64_t pooled_height = 7;
  std::int64_t pooled_width = 7;
  double spatial_scale = 1;          // feature pixels per picture pixel
  std::int64_t sampling_ratio = -1;  // samples per bin and direction; <= 0: ceil(RoI / bins)
  bool aligned = false;              // true: pixel centres at half coordinates
};

/// Average of bilinear samples in each bin of each region. input: [N, C, H, W] float32 or float64;
/// rois: [K, 5] of the same dtype and device, (picture index, x1, y1, x2, y2) in picture pixels.
/// Returns [K, C, pooled_height, pooled_width]. Gradients flow to `input` alone and do not depend
/// on the number of threads. Throws c10::Error for other shapes or dtypes and for a picture index
/// outside 0…N-1. Source: torchvision.ops.roi_align, Mask R-CNN (arXiv 1703.06870) section 3.
torch::Tensor roi_align(const torch::Tensor& input,
                        const torch::Tensor& rois,
                        const RoiAlignOptions& options);

}  // namespace batchscope::models
