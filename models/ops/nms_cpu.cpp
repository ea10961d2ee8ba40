#include "models/ops/device_ops.h"
#include "models/ops/nms.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <vector>

namespace batchscope::models {
namespace {

constexpr std::int64_t kShifted = 1000, kShiftedOnCuda = 25000;  // boxes in one shifted nms

template <typename Scalar>
std::vector<std::int64_t> suppress(const Scalar* boxes,
                                   const std::int64_t* groups,
                                   const std::int64_t* order,
                                   std::int64_t count,
                                   double iou_threshold) {
  std::vector<Scalar> areas(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const Scalar* b = boxes + 4 * i;
    areas[static_cast<std::size_t>(i)] = (b[2] - b[0]) * (b[3] - b[1]);
  }
  std::vector<char> dropped(static_cast<std::size_t>(count), 0);
  std::vector<std::int64_t> kept;
  for (std::int64_t rank = 0; rank < count; ++rank) {
    const std::int64_t i = order[rank];
    if (dropped[static_cast<std::size_t>(i)] != 0) {
      continue;
    }
    kept.push_back(i);
    const Scalar* a = boxes + 4 * i;
    for (std::int64_t later = rank + 1; later < count; ++later) {
      const std::int64_t j = order[later];
      if (dropped[static_cast<std::size_t>(j)] != 0 ||
          (groups != nullptr && groups[i] != groups[j])) {
        continue;
      }
      const Scalar* b = boxes + 4 * j;
      const Scalar width = std::max<Scalar>(0, std::min(a[2], b[2]) - std::max(a[0], b[0]));
      const Scalar height = std::max<Scalar>(0, std::min(a[3], b[3]) - std::max(a[1], b[1]));
      const Scalar inter = width * height;
      const Scalar iou =
          inter / (areas[static_cast<std::size_t>(i)] + areas[static_cast<std::size_t>(j)] - inter);
      dropped[static_cast<std::size_t>(j)] = static_cast<double>(iou) > iou_threshold ? 1 : 0;
    }
  }
  return kept;
}

torch::Tensor grouped_nms(const torch::Tensor& boxes,
                          const torch::Tensor& scores,
                          const torch::Tensor& groups,
                          double iou_threshold) {
  TORCH_CHECK(
      boxes.dim() == 2 && boxes.size(1) == 4, "nms: boxes must be [N, 4], found ", boxes.sizes());
  TORCH_CHECK(scores.dim() == 1 && scores.size(0) == boxes.size(0),
              "nms: expected ",
              boxes.size(0),
              " scores, found ",
              scores.sizes());
  TORCH_CHECK(scores.scalar_type() == boxes.scalar_type(), "nms: boxes and scores differ in dtype");
  const torch::NoGradGuard no_grad;
  const torch::Tensor order = std::get<1>(scores.sort(/*stable=*/true, 0, /*descending=*/true));
  if (boxes.is_cuda()) {
    const torch::Tensor sorted_groups =
        groups.defined() ? groups.index_select(0, order).contiguous() : groups;
    const torch::Tensor kept = device_ops::nms_cuda(
        boxes.index_select(0, order).contiguous(), sorted_groups, iou_threshold);
    return order.masked_select(kept.to(order.device()));
  }
  const torch::Tensor own_boxes = boxes.contiguous();
  const torch::Tensor own_groups = groups.defined() ? groups.contiguous() : groups;
  std::vector<std::int64_t> kept;
  // NOLINTNEXTLINE(bugprone-lambda-function-name): inside of the macro
  AT_DISPATCH_FLOATING_TYPES(own_boxes.scalar_type(), "nms", [&] {
    kept = suppress(own_boxes.const_data_ptr<scalar_t>(),
                    own_groups.defined() ? own_groups.const_data_ptr<std::int64_t>() : nullptr,
                    order.const_data_ptr<std::int64_t>(),
                    own_boxes.size(0),
                    iou_threshold);
  });
  return torch::tensor(kept, torch::kInt64);
}

}  // namespace

torch::Tensor nms(const torch::Tensor& boxes, const torch::Tensor& scores, double iou_threshold) {
  return grouped_nms(boxes, scores, {}, iou_threshold);
}

torch::Tensor batched_nms(const torch::Tensor& boxes,
                          const torch::Tensor& scores,
                          const torch::Tensor& groups,
                          double iou_threshold) {
  TORCH_CHECK(
      groups.dim() == 1 && groups.size(0) == boxes.size(0) && groups.scalar_type() == torch::kInt64,
      "batched_nms: expected ",
      boxes.size(0),
      " int64 groups, found ",
      groups.sizes());
  if (boxes.size(0) > 0 && boxes.size(0) <= (boxes.is_cuda() ? kShiftedOnCuda : kShifted)) {
    const torch::NoGradGuard no_grad;
    const torch::Tensor shift = groups.to(boxes.scalar_type()) * (boxes.max() + 1);
    return grouped_nms(boxes + shift.unsqueeze(1), scores, {}, iou_threshold);
  }
  return grouped_nms(boxes, scores, groups, iou_threshold);
}

}  // namespace batchscope::models
