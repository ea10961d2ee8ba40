#include "models/mask_head.h"

#include "models/init.h"
#include "models/ops/roi_align.h"
#include "models/precision.h"

#include <algorithm>

namespace batchscope::models {
namespace {

constexpr std::int64_t kPixelsAtOnce = 1 << 22;  // of true masks held as numbers
constexpr double kMaskThreshold = 0.5;

/// The rows of `boxes` widened about their centres, as whole pixels. Source: expand_boxes.
torch::Tensor grow(const torch::Tensor& boxes, double factor) {
  const torch::Tensor low = boxes.narrow(1, 0, 2), high = boxes.narrow(1, 2, 2);
  const torch::Tensor half = (high - low) * 0.5 * factor, centre = (high + low) * 0.5;
  return torch::cat({centre - half, centre + half}, 1).to(torch::kCPU, torch::kInt64);
}

}  // namespace

MaskHeadImpl::MaskHeadImpl(std::int64_t in, const MaskHeadOptions& options) {
  for (std::int64_t i = 0; i < options.convolutions; ++i) {
    const ConvOptions conv{.in = i == 0 ? in : options.channels, .out = options.channels};
    convs_.push_back(options.norm ? ConvBlock(conv, make_norm(*options.norm, conv.out), true)
                                  : ConvBlock(conv, true));
    register_module(std::to_string(i), convs_.back());
  }
}

torch::Tensor MaskHeadImpl::forward(const torch::Tensor& pooled) {
  torch::Tensor x = pooled.contiguous(torch::MemoryFormat::ChannelsLast);
  for (ConvBlock& conv : convs_) {
    x = conv->forward(x);
  }
  return x;
}

void MaskHeadImpl::initialise(torch::Generator& generator) {
  for (const ConvBlock& block : convs_) {
    init::torch_default(block->conv->weight, block->conv->bias, generator);
  }
  for (const ConvBlock& block : convs_) {
    init::kaiming_normal_fan_out(block->conv->weight, generator);
    init::zero(block->conv->bias);
  }
}

MaskPredictorImpl::MaskPredictorImpl(std::int64_t channels, std::int64_t num_classes) {
  // A transposed convolution: its weight is [in, out, 2, 2], and in = out.
  conv5_ = register_module("conv5_mask",
                           Conv(ConvOptions{.in = channels, .out = channels, .kernel = 2}));
  logits_ = register_module("mask_fcn_logits",
                            Conv(ConvOptions{.in = channels, .out = num_classes, .kernel = 1}));
}

torch::Tensor MaskPredictorImpl::forward(const torch::Tensor& x) {
  return full_precision(logits_->forward(
      at::conv_transpose2d(x, conv5_->weight, conv5_->bias, /*stride=*/2).relu_()));
}

void MaskPredictorImpl::initialise(torch::Generator& generator) {
  for (const Conv& conv : {conv5_, logits_}) {
    init::torch_default(conv->weight, conv->bias, generator);
  }
  for (const Conv& conv : {conv5_, logits_}) {
    init::kaiming_normal_fan_out(conv->weight, generator);
  }
}

torch::Tensor project_masks(const torch::Tensor& masks,
                            const torch::Tensor& truth,
                            const torch::Tensor& regions,
                            std::int64_t size) {
  const std::int64_t pixels = std::max<std::int64_t>(1, masks.size(1) * masks.size(2));
  const std::int64_t part = std::max<std::int64_t>(1, kPixelsAtOnce / pixels);
  torch::Tensor out = torch::zeros({regions.size(0), size, size}, regions.options());
  const torch::Tensor used = std::get<0>(at::_unique(truth));
  for (std::int64_t first = 0; first < used.numel(); first += part) {
    const torch::Tensor some = used.narrow(0, first, std::min(part, used.numel() - first));
    const torch::Tensor mine = (truth >= some[0]) & (truth <= some[-1]);
    const torch::Tensor rows = mine.nonzero().view(-1);
    const torch::Tensor index = torch::searchsorted(some, truth.index_select(0, rows));
    const torch::Tensor rois =
        torch::cat({index.unsqueeze(1).to(regions.options()), regions.index_select(0, rows)}, 1);
    const torch::Tensor planes = masks.index_select(0, some).unsqueeze(1).to(regions.options());
    out.index_copy_(
        0, rows, roi_align(planes, rois, {.pooled_height = size, .pooled_width = size}).squeeze(1));
  }
  return out;
}

torch::Tensor paste_masks(const torch::Tensor& probabilities,
                          const torch::Tensor& boxes,
                          std::int64_t height,
                          std::int64_t width) {
  const std::int64_t count = probabilities.size(0), bins = probabilities.size(-1);
  const torch::Tensor padded = torch::constant_pad_nd(probabilities, {1, 1, 1, 1});
  const torch::Tensor whole =
      grow(boxes, static_cast<double>(bins + 2) / static_cast<double>(bins)).contiguous();
  const auto* corner = whole.const_data_ptr<std::int64_t>();
  torch::Tensor out =
      torch::zeros({count, height, width}, probabilities.options().dtype(torch::kUInt8));
  for (std::int64_t k = 0; k < count; ++k, corner += 4) {
    const std::int64_t w = std::max<std::int64_t>(corner[2] - corner[0] + 1, 1);
    const std::int64_t h = std::max<std::int64_t>(corner[3] - corner[1] + 1, 1);
    const std::int64_t x0 = std::max<std::int64_t>(corner[0], 0),
                       x1 = std::min(corner[2] + 1, width);
    const std::int64_t y0 = std::max<std::int64_t>(corner[1], 0),
                       y1 = std::min(corner[3] + 1, height);
    if (x1 <= x0 || y1 <= y0) {
      continue;
    }
    const torch::Tensor mask =
        at::upsample_bilinear2d(padded[k].view({1, 1, bins + 2, bins + 2}), {h, w}, false)[0][0];
    out[k].slice(0, y0, y1).slice(1, x0, x1).copy_(
        mask.slice(0, y0 - corner[1], y1 - corner[1]).slice(1, x0 - corner[0], x1 - corner[0]) >
        kMaskThreshold);
  }
  return out;
}

}  // namespace batchscope::models
