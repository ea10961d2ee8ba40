#include "models/box_losses.h"

#include <torch/types.h>

#include <stdexcept>

namespace batchscope::models {
namespace {

constexpr double kEps = 1e-7;

torch::Tensor area_between(const torch::Tensor& low, const torch::Tensor& high) {
  return (high.select(1, 0) - low.select(1, 0)) * (high.select(1, 1) - low.select(1, 1));
}

}  // namespace

torch::Tensor giou_loss_sum(const torch::Tensor& a, const torch::Tensor& b) {
  const torch::Tensor a_low = a.narrow(1, 0, 2), a_high = a.narrow(1, 2, 2);
  const torch::Tensor b_low = b.narrow(1, 0, 2), b_high = b.narrow(1, 2, 2);
  const torch::Tensor low = torch::maximum(a_low, b_low), high = torch::minimum(a_high, b_high);
  const torch::Tensor overlap = (high > low).all(1);
  const torch::Tensor inter =
      torch::where(overlap, area_between(low, high), torch::zeros({1}, a.options()));
  const torch::Tensor together = box_area(a) + box_area(b) - inter;
  const torch::Tensor hull =
      area_between(torch::minimum(a_low, b_low), torch::maximum(a_high, b_high));
  return (1 - (inter / (together + kEps) - (hull - together) / (hull + kEps))).sum();
}

torch::Tensor box_loss_sum(BoxLoss kind,
                           const BoxCoder& coder,
                           const torch::Tensor& offsets,
                           const torch::Tensor& truth,
                           const torch::Tensor& anchors) {
  switch (kind) {
    case BoxLoss::kL1:
      return at::l1_loss(offsets, coder.encode(truth, anchors), at::Reduction::Sum);
    case BoxLoss::kSmoothL1:
      return at::smooth_l1_loss(offsets, coder.encode(truth, anchors), at::Reduction::Sum, 1.0);
    case BoxLoss::kGiou:
      return giou_loss_sum(coder.decode(offsets, anchors).squeeze(1), truth);
  }
  throw std::invalid_argument("box_loss_sum: not a loss");
}

}  // namespace batchscope::models
