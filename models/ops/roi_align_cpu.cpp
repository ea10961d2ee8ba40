#include "cmake/torch/threads.h"
#include "models/ops/device_ops.h"
#include "models/ops/roi_align.h"
#include "models/ops/roi_geometry.h"

#include <ATen/Parallel.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <algorithm>
#include <vector>

namespace batchscope::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

/// All samples of one region: bins row by row, the samples of a bin one after another.
template <typename Scalar>
struct Samples {
  std::vector<roi::Tap<Scalar>> taps;
  std::int64_t per_bin = 0;

  void fill(const Scalar* region,
            const RoiAlignOptions& o,
            std::int64_t height,
            std::int64_t width) {
    const auto r = roi::make_region(region,
                                    static_cast<Scalar>(o.spatial_scale),
                                    o.aligned,
                                    o.pooled_height,
                                    o.pooled_width,
                                    o.sampling_ratio);
    per_bin = std::max<std::int64_t>(r.grid_y, 0) * std::max<std::int64_t>(r.grid_x, 0);
    taps.clear();
    for (std::int64_t ph = 0; ph < o.pooled_height; ++ph) {
      for (std::int64_t pw = 0; pw < o.pooled_width; ++pw) {
        for (std::int64_t iy = 0; iy < r.grid_y; ++iy) {
          for (std::int64_t ix = 0; ix < r.grid_x; ++ix) {
            taps.push_back(roi::make_tap(r, ph, pw, iy, ix, height, width));
          }
        }
      }
    }
  }
};

/// Sums of the samples of each bin, [bins, channels]. picture: [H, W, channels] in memory.
template <typename Scalar>
void pool_region(const Scalar* picture,
                 const Samples<Scalar>& samples,
                 std::int64_t channels,
                 std::vector<Scalar>& sums) {
  std::fill(sums.begin(), sums.end(), Scalar(0));
  const roi::Tap<Scalar>* tap = samples.taps.data();
  const auto bins = static_cast<std::int64_t>(sums.size()) / channels;
  for (std::int64_t bin = 0; bin < bins; ++bin) {
    Scalar* sum = sums.data() + bin * channels;
    for (std::int64_t s = 0; s < samples.per_bin; ++s, ++tap) {
      const Scalar *p0 = picture + tap->at[0] * channels, *p1 = picture + tap->at[1] * channels;
      const Scalar *p2 = picture + tap->at[2] * channels, *p3 = picture + tap->at[3] * channels;
      const Scalar w0 = tap->weight[0], w1 = tap->weight[1], w2 = tap->weight[2],
                   w3 = tap->weight[3];
      for (std::int64_t c = 0; c < channels; ++c) {
        sum[c] += w0 * p0[c] + w1 * p1[c] + w2 * p2[c] + w3 * p3[c];
      }
    }
  }
}

/// Adds the share of each sample to its four pixels, for `count` channels. shares: [bins, count].
template <typename Scalar>
void spread_region(const std::vector<Scalar>& shares,
                   const Samples<Scalar>& samples,
                   std::int64_t channels,
                   std::int64_t count,
                   Scalar* picture) {
  const roi::Tap<Scalar>* tap = samples.taps.data();
  const auto bins = static_cast<std::int64_t>(shares.size()) / count;
  for (std::int64_t bin = 0; bin < bins; ++bin) {
    const Scalar* share = shares.data() + bin * count;
    for (std::int64_t s = 0; s < samples.per_bin; ++s, ++tap) {
      for (int corner = 0; corner < 4; ++corner) {
        Scalar* pixel = picture + tap->at[corner] * channels;
        const Scalar weight = tap->weight[corner];
        for (std::int64_t c = 0; c < count; ++c) {
          pixel[c] += share[c] * weight;
        }
      }
    }
  }
}

template <typename Scalar>
void forward_cpu(const torch::Tensor& input,
                 const torch::Tensor& rois,
                 const RoiAlignOptions& o,
                 torch::Tensor& output) {
  const std::int64_t channels = input.size(1), height = input.size(2), width = input.size(3);
  const std::int64_t bins = o.pooled_height * o.pooled_width, area = height * width;
  const auto* in = input.const_data_ptr<Scalar>();
  const auto* regions = rois.const_data_ptr<Scalar>();
  auto* out = output.mutable_data_ptr<Scalar>();
  const std::int64_t grain =
      std::max<std::int64_t>(1, 4096 / std::max<std::int64_t>(1, channels * bins));
  threads::parallel_for(
      at::get_num_threads(), rois.size(0), grain, [&](std::int64_t first, std::int64_t last) {
        Samples<Scalar> samples;
        std::vector<Scalar> sums(static_cast<std::size_t>(bins * channels));
        for (std::int64_t k = first; k < last; ++k) {
          samples.fill(regions + 5 * k, o, height, width);
          pool_region(in + static_cast<std::int64_t>(regions[5 * k]) * channels * area,
                      samples,
                      channels,
                      sums);
          const auto count = static_cast<Scalar>(std::max<std::int64_t>(samples.per_bin, 1));
          Scalar* region = out + k * channels * bins;
          for (std::int64_t c = 0; c < channels; ++c) {
            for (std::int64_t bin = 0; bin < bins; ++bin) {
              region[c * bins + bin] = sums[static_cast<std::size_t>(bin * channels + c)] / count;
            }
          }
        }
      });
}

template <typename Scalar>
void backward_cpu(const torch::Tensor& grad,
                  const torch::Tensor& rois,
                  const RoiAlignOptions& o,
                  torch::Tensor& grad_input) {
  const std::int64_t pictures = grad_input.size(0), channels = grad_input.size(1);
  const std::int64_t height = grad_input.size(2), width = grad_input.size(3), area = height * width;
  const std::int64_t bins = o.pooled_height * o.pooled_width;
  const auto* regions = rois.const_data_ptr<Scalar>();
  const auto* g = grad.const_data_ptr<Scalar>();
  auto* out = grad_input.mutable_data_ptr<Scalar>();
  std::vector<std::vector<std::int64_t>> of_picture(static_cast<std::size_t>(pictures));
  for (std::int64_t k = 0; k < rois.size(0); ++k) {
    of_picture[static_cast<std::size_t>(regions[5 * k])].push_back(k);
  }
  // Some channels of a picture belong to one task, which adds its regions in their order: the sums
  // do not depend on the number of threads.
  const std::int64_t parts =
      std::clamp<std::int64_t>((at::get_num_threads() + pictures - 1) / pictures, 1, channels);
  threads::parallel_for(
      at::get_num_threads(), pictures * parts, 1, [&](std::int64_t first, std::int64_t last) {
        Samples<Scalar> samples;
        for (std::int64_t task = first; task < last; ++task) {
          const std::int64_t picture = task / parts, part = task % parts;
          const std::int64_t c_first = channels * part / parts,
                             c_last = channels * (part + 1) / parts;
          const std::int64_t mine = c_last - c_first;
          std::vector<Scalar> shares(static_cast<std::size_t>(bins * mine));
          for (const std::int64_t k : of_picture[static_cast<std::size_t>(picture)]) {
            samples.fill(regions + 5 * k, o, height, width);
            const auto count = static_cast<Scalar>(std::max<std::int64_t>(samples.per_bin, 1));
            for (std::int64_t c = 0; c < mine; ++c) {
              for (std::int64_t bin = 0; bin < bins; ++bin) {
                shares[static_cast<std::size_t>(bin * mine + c)] =
                    g[(k * channels + c_first + c) * bins + bin] / count;
              }
            }
            spread_region(
                shares, samples, channels, mine, out + picture * channels * area + c_first);
          }
        }
      });
}

void check(const torch::Tensor& input, const torch::Tensor& rois, const RoiAlignOptions& o) {
  TORCH_CHECK(input.dim() == 4, "roi_align: input must be [N, C, H, W], found ", input.sizes());
  TORCH_CHECK(
      rois.dim() == 2 && rois.size(1) == 5, "roi_align: rois must be [K, 5], found ", rois.sizes());
  TORCH_CHECK(input.scalar_type() == rois.scalar_type(),
              "roi_align: input is ",
              input.scalar_type(),
              " and rois are ",
              rois.scalar_type());
  TORCH_CHECK(input.device() == rois.device(), "roi_align: input and rois are on two devices");
  TORCH_CHECK(o.pooled_height > 0 && o.pooled_width > 0, "roi_align: pooled sizes must be > 0");
  if (rois.size(0) > 0 && !rois.is_cuda()) {
    const torch::Tensor index = rois.select(1, 0);
    TORCH_CHECK(index.min().item<double>() >= 0 &&
                    index.max().item<double>() < static_cast<double>(input.size(0)),
                "roi_align: a region's picture index is outside 0…",
                input.size(0) - 1);
  }
}

RoiAlignOptions unpack(const AutogradContext* ctx) {
  const auto& saved = ctx->saved_data;
  return {saved.at("h").toInt(),
          saved.at("w").toInt(),
          saved.at("scale").toDouble(),
          saved.at("ratio").toInt(),
          saved.at("aligned").toBool()};
}

struct RoiAlignFunction : torch::autograd::Function<RoiAlignFunction> {
  static torch::Tensor forward(AutogradContext* ctx,
                               const torch::Tensor& input,
                               const torch::Tensor& rois,
                               const RoiAlignOptions& o) {
    ctx->saved_data["h"] = o.pooled_height;
    ctx->saved_data["w"] = o.pooled_width;
    ctx->saved_data["scale"] = o.spatial_scale;
    ctx->saved_data["ratio"] = o.sampling_ratio;
    ctx->saved_data["aligned"] = o.aligned;
    ctx->saved_data["sizes"] = input.sizes().vec();
    ctx->save_for_backward({rois});
    if (input.is_cuda()) {
      return device_ops::roi_align_forward_cuda(input.contiguous(), rois, o);
    }
    auto output = torch::empty({rois.size(0), input.size(1), o.pooled_height, o.pooled_width},
                               input.options());
    const torch::Tensor own = input.contiguous(torch::MemoryFormat::ChannelsLast);
    // NOLINTNEXTLINE(bugprone-lambda-function-name): inside of the macro
    AT_DISPATCH_FLOATING_TYPES(
        own.scalar_type(), "roi_align", [&] { forward_cpu<scalar_t>(own, rois, o, output); });
    return output;
  }

  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    const RoiAlignOptions o = unpack(ctx);
    const torch::Tensor rois = ctx->get_saved_variables()[0];
    const auto sizes = ctx->saved_data.at("sizes").toIntVector();
    const torch::Tensor grad = grads[0].contiguous();
    if (grad.is_cuda()) {
      return {device_ops::roi_align_backward_cuda(grad, rois, sizes, o), {}, {}};
    }
    auto grad_input =
        torch::empty(sizes, grad.options().memory_format(torch::MemoryFormat::ChannelsLast))
            .zero_();
    if (grad_input.numel() > 0) {
      // NOLINTNEXTLINE(bugprone-lambda-function-name): inside of the macro
      AT_DISPATCH_FLOATING_TYPES(grad.scalar_type(), "roi_align_backward", [&] {
        backward_cpu<scalar_t>(grad, rois, o, grad_input);
      });
    }
    return {grad_input, {}, {}};
  }
};

}  // namespace

torch::Tensor roi_align(const torch::Tensor& input,
                        const torch::Tensor& rois,
                        const RoiAlignOptions& options) {
  check(input, rois, options);
  return RoiAlignFunction::apply(input, rois.detach().contiguous(), options);
}

}  // namespace batchscope::models
