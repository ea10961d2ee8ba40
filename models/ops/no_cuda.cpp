#include "models/ops/device_ops.h"

#include <stdexcept>

namespace batchscope::models::device_ops {
namespace {

[[noreturn]] void refuse(const char* op) {
  throw std::invalid_argument(std::string(op) +
                              ": this build has no CUDA kernels, and the tensors are on CUDA");
}

}  // namespace

torch::Tensor nms_cuda(const torch::Tensor& /*boxes*/,
                       const torch::Tensor& /*groups*/,
                       double /*iou_threshold*/) {
  refuse("nms");
}

torch::Tensor roi_align_forward_cuda(const torch::Tensor& /*input*/,
                                     const torch::Tensor& /*rois*/,
                                     const RoiAlignOptions& /*options*/) {
  refuse("roi_align");
}

torch::Tensor roi_align_backward_cuda(const torch::Tensor& /*grad_output*/,
                                      const torch::Tensor& /*rois*/,
                                      torch::IntArrayRef /*input_sizes*/,
                                      const RoiAlignOptions& /*options*/) {
  refuse("roi_align");
}

}  // namespace batchscope::models::device_ops
