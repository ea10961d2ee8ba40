#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope {

/// One trainable tensor of the benchmark's model.
struct BenchShape {
  std::string name;
  std::int64_t module = 0;  // backbone, fpn, rpn, roi_head
  std::vector<std::int64_t> shape;
};

inline constexpr std::int64_t kBenchModules = 4;

/// The trainable tensors of torchvision 0.26's fasterrcnn_resnet50_fpn(weights=None,
/// weights_backbone=None, num_classes=91), in the order of named_parameters(): 189 tensors,
/// 41,808,406 numbers. `shrink` divides the channels.
std::vector<BenchShape> frcnn_shapes(std::int64_t shrink = 1);

}  // namespace batchscope
