#include "models/upsampled_loss.h"

#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>

namespace batchscope::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr std::int64_t kStripElements = std::int64_t{1} << 21;  // enlarged logits at a time

/// Rows [first, last) of a picture's logits; the rows beside them count in what they enlarge to.
struct Strip {
  std::int64_t first, last, from, to;
};

Strip strip_at(std::int64_t first, std::int64_t rows, std::int64_t height) {
  const std::int64_t last = std::min(height, first + rows);
  return {first, last, std::max<std::int64_t>(0, first - 1), std::min(height, last + 1)};
}

/// Adds the strip's gradient to `gradient`, both [1, C, H, W]; returns its loss.
torch::Tensor add_strip(const torch::Tensor& logits,
                        const torch::Tensor& labels,
                        const Strip& strip,
                        std::int64_t factor,
                        std::int64_t ignored,
                        torch::Tensor& gradient) {
  const torch::Tensor part =
      logits.slice(2, strip.from, strip.to).detach().contiguous().requires_grad_();
  const torch::AutoGradMode with_gradient(true);
  const torch::Tensor large =
      enlarge(part, factor)
          .slice(2, (strip.first - strip.from) * factor, (strip.last - strip.from) * factor);
  const torch::Tensor loss =
      at::cross_entropy_loss(large,
                             labels.slice(1, strip.first * factor, strip.last * factor),
                             {},
                             at::Reduction::Sum,
                             ignored);
  gradient.slice(2, strip.from, strip.to).add_(torch::autograd::grad({loss}, {part})[0]);
  return loss.detach();
}

struct UpsampledCrossEntropy : torch::autograd::Function<UpsampledCrossEntropy> {
  static torch::Tensor forward(AutogradContext* ctx,
                               const torch::Tensor& logits,
                               const torch::Tensor& labels,
                               std::int64_t factor,
                               std::int64_t ignored) {
    const std::int64_t height = logits.size(2);
    const std::int64_t row = logits.size(1) * logits.size(3) * factor * factor;
    const std::int64_t rows = std::max<std::int64_t>(1, kStripElements / row);
    torch::Tensor gradient = torch::zeros_like(logits);
    torch::Tensor sum = torch::zeros({}, gradient.options());
    for (std::int64_t i = 0; i < logits.size(0); ++i) {
      torch::Tensor picture = gradient.slice(0, i, i + 1);
      for (std::int64_t first = 0; first < height; first += rows) {
        sum += add_strip(logits.slice(0, i, i + 1),
                         labels.slice(0, i, i + 1),
                         strip_at(first, rows, height),
                         factor,
                         ignored,
                         picture);
      }
    }
    ctx->save_for_backward({gradient});
    return sum;
  }

  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    return {ctx->get_saved_variables()[0] * grads[0], {}, {}, {}};
  }
};

}  // namespace

torch::Tensor enlarge(const torch::Tensor& x, std::int64_t factor) {
  return at::upsample_bilinear2d(x, {factor * x.size(2), factor * x.size(3)}, false);
}

torch::Tensor upsampled_cross_entropy_sum(const torch::Tensor& logits,
                                          const torch::Tensor& labels,
                                          std::int64_t factor,
                                          std::int64_t ignored) {
  TORCH_CHECK(logits.dim() == 4 && labels.dim() == 3 && labels.size(0) == logits.size(0) &&
                  labels.size(1) == factor * logits.size(2) &&
                  labels.size(2) == factor * logits.size(3),
              "upsampled_cross_entropy_sum: expected logits [N, C, H, W] and labels [N, ",
              factor,
              " H, ",
              factor,
              " W], found ",
              logits.sizes(),
              " and ",
              labels.sizes());
  return UpsampledCrossEntropy::apply(logits, labels, factor, ignored);
}

}  // namespace batchscope::models
