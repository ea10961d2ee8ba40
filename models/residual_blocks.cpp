#include "models/residual_blocks.h"

#include "models/init.h"

namespace batchscope::models {

void ResidualBlock::draw_defaults(torch::Generator& generator) {
  if (!downsample_.is_empty()) {
    init::torch_default(downsample_->conv->weight, {}, generator);
  }
  for (const auto& child : children()) {
    if (const auto* conv = child->as<Conv>()) {
      init::torch_default(conv->weight, {}, generator);
    }
  }
}

ResidualBlock::Stage ResidualBlock::add_stage(int number,
                                              const ConvOptions& conv,
                                              const NormOptions& norm) {
  Stage stage{Conv(conv), make_norm(norm, conv.out)};
  register_module("conv" + std::to_string(number), stage.conv);
  register_module("bn" + std::to_string(number), stage.norm.ptr());
  return stage;
}

void ResidualBlock::add_shortcut(std::int64_t in,
                                 std::int64_t out,
                                 std::int64_t stride,
                                 const NormOptions& norm) {
  if (stride != 1 || in != out) {
    downsample_ =
        register_module("downsample",
                        ConvBlock(ConvOptions{.in = in, .out = out, .kernel = 1, .stride = stride},
                                  make_norm(norm, out),
                                  /*relu=*/false));
  }
}

torch::Tensor ResidualBlock::join(const torch::Tensor& y, const torch::Tensor& x) {
  return y.add_(downsample_.is_empty() ? x : downsample_->forward(x)).relu_();
}

BasicBlock::BasicBlock(std::int64_t in,
                       std::int64_t width,
                       std::int64_t stride,
                       const NormOptions& norm) {
  first_ = add_stage(1, {.in = in, .out = width, .stride = stride, .bias = false}, norm);
  second_ = add_stage(2, {.in = width, .out = width, .bias = false}, norm);
  add_shortcut(in, width, stride, norm);
}

torch::Tensor BasicBlock::forward(const torch::Tensor& x) {
  return join(second_.forward(first_.forward(x).relu_()), x);
}

Bottleneck::Bottleneck(std::int64_t in,
                       std::int64_t width,
                       std::int64_t stride,
                       const NormOptions& norm) {
  const std::int64_t out = kExpansion * width;
  first_ = add_stage(1, {.in = in, .out = width, .kernel = 1, .bias = false}, norm);
  second_ = add_stage(2, {.in = width, .out = width, .stride = stride, .bias = false}, norm);
  third_ = add_stage(3, {.in = width, .out = out, .kernel = 1, .bias = false}, norm);
  add_shortcut(in, out, stride, norm);
}

torch::Tensor Bottleneck::forward(const torch::Tensor& x) {
  return join(third_.forward(second_.forward(first_.forward(x).relu_()).relu_()), x);
}

}  // namespace batchscope::models
