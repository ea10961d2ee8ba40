#include "models/swin_block.h"

#include "models/init.h"

#include <cmath>

namespace batchscope::models {
namespace {

constexpr double kStd = 0.02;      // of the final weights
constexpr double kBiasStd = 1e-6;  // of the mlp's biases, before the final ones
constexpr double kApart = -100;    // added where two pixels of a window are no neighbours

torch::nn::LayerNorm layer_norm(std::int64_t channels) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({channels}));
}

void draw_dense(const Dense& dense, torch::Generator& generator) {
  init::torch_default(dense->weight, dense->bias, generator);
}

void draw_final_dense(const Dense& dense, torch::Generator& generator) {
  init::truncated_normal(dense->weight, kStd, generator);
  init::zero(dense->bias);
}

/// For each pair of pixels of a window, row by row: where their offset is in the table.
torch::Tensor position_index(std::int64_t window) {
  const torch::Tensor all = torch::arange(window * window);
  const torch::Tensor y = all.floor_divide(window), x = all.remainder(window);
  const auto offset = [&](const torch::Tensor& side) {
    return side.unsqueeze(1) - side.unsqueeze(0) + (window - 1);
  };
  return (offset(y) * (2 * window - 1) + offset(x)).flatten();
}

/// [B, r·w, c·w, C] -> [B·r·c, w², C], and back.
torch::Tensor to_windows(const torch::Tensor& x, std::int64_t w) {
  const auto rows = x.size(1) / w, columns = x.size(2) / w;
  return x.view({x.size(0), rows, w, columns, w, x.size(3)})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({x.size(0) * rows * columns, w * w, x.size(3)});
}

torch::Tensor from_windows(const torch::Tensor& x,
                           std::int64_t w,
                           std::int64_t rows,
                           std::int64_t columns) {
  return x.view({-1, rows, columns, w, w, x.size(2)})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({-1, rows * w, columns * w, x.size(2)});
}

/// After the shift, the last windows of a side hold what was at its beginning and at its end. Gives
/// the positions along a side the number of their region.
torch::Tensor regions(std::int64_t windows, std::int64_t window, std::int64_t shift) {
  torch::Tensor region = torch::zeros({windows * window}, torch::kInt64);
  if (shift > 0) {
    region.slice(0, (windows - 1) * window).fill_(1);
    region.slice(0, windows * window - shift).fill_(2);
  }
  return region;
}

}  // namespace

WindowAttentionImpl::WindowAttentionImpl(const SwinBlockOptions& options) : options_(options) {
  qkv_ = register_module("qkv", Dense(options.channels, 3 * options.channels));
  proj_ = register_module("proj", Dense(options.channels, options.channels));
  const std::int64_t span = 2 * options.window - 1;
  table_ = register_parameter("relative_position_bias_table",
                              torch::zeros({span * span, options.heads}));
  index_ = register_buffer("relative_position_index", position_index(options.window));
}

torch::Tensor WindowAttentionImpl::bias(std::int64_t rows,
                                        std::int64_t columns,
                                        const torch::Tensor& x) const {
  const std::int64_t w = options_.window, n = w * w;
  // Module::to(dtype) does not spare buffers of whole numbers.
  torch::Tensor bias = table_.index_select(0, index_.to(torch::kInt64))
                           .view({n, n, options_.heads})
                           .permute({2, 0, 1});
  const std::int64_t down = rows > 1 ? options_.shift : 0, right = columns > 1 ? options_.shift : 0;
  if (down + right == 0) {
    return bias;
  }
  const torch::Tensor region =
      to_windows((3 * regions(rows, w, down).unsqueeze(1) + regions(columns, w, right))
                     .view({1, rows * w, columns * w, 1}),
                 w)
          .squeeze(2);
  const torch::Tensor apart = region.unsqueeze(1) != region.unsqueeze(2);
  return bias + apart.to(x.options()).mul_(kApart).unsqueeze(1);
}

torch::Tensor WindowAttentionImpl::forward(const torch::Tensor& x) {
  const std::int64_t w = options_.window, n = w * w, heads = options_.heads, c = x.size(3);
  const std::int64_t rows = (x.size(1) + w - 1) / w, columns = (x.size(2) + w - 1) / w;
  const std::int64_t down = rows > 1 ? options_.shift : 0, right = columns > 1 ? options_.shift : 0;
  torch::Tensor y =
      at::constant_pad_nd(x, {0, 0, 0, columns * w - x.size(2), 0, rows * w - x.size(1)});
  if (down + right > 0) {
    y = at::roll(y, {-down, -right}, {1, 2});
  }
  const torch::Tensor qkv = qkv_->forward(to_windows(y.contiguous(), w))
                                .view({-1, n, 3, heads, c / heads})
                                .permute({2, 0, 3, 1, 4});
  const double scale = std::sqrt(static_cast<double>(heads) / static_cast<double>(c));
  torch::Tensor attention = (qkv[0] * scale).matmul(qkv[1].transpose(2, 3));
  const torch::Tensor added = bias(rows, columns, x);
  attention = attention.view({-1, added.dim() == 4 ? added.size(0) : 1, heads, n, n}) + added;
  attention = attention.softmax(-1).view({-1, heads, n, n});
  y = proj_->forward(attention.matmul(qkv[2]).transpose(1, 2).reshape({-1, n, c}));
  y = from_windows(y, w, rows, columns);
  if (down + right > 0) {
    y = at::roll(y, {down, right}, {1, 2});
  }
  return y.slice(1, 0, x.size(1)).slice(2, 0, x.size(2));
}

void WindowAttentionImpl::draw_defaults(torch::Generator& generator) {
  draw_dense(qkv_, generator);
  draw_dense(proj_, generator);
  init::truncated_normal(table_, kStd, generator);
}

void WindowAttentionImpl::draw_final(torch::Generator& generator) {
  draw_final_dense(qkv_, generator);
  draw_final_dense(proj_, generator);
}

SwinBlockImpl::SwinBlockImpl(const SwinBlockOptions& options) : options_(options) {
  const std::int64_t c = options.channels, wide = options.mlp_factor * c;
  norm1_ = register_module("norm1", layer_norm(c));
  attention_ = register_module("attn", WindowAttention(options));
  norm2_ = register_module("norm2", layer_norm(c));
  const auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
  hidden_ = mlp->register_module("0", Dense(c, wide));
  out_ = mlp->register_module("3", Dense(wide, c));
}

torch::Tensor SwinBlockImpl::drop(const torch::Tensor& branch,
                                  const torch::Generator& generator) const {
  if (options_.drop == 0 || !generator.defined() || !is_training()) {
    return branch;
  }
  const double kept = 1 - options_.drop;
  const torch::Tensor noise =
      torch::empty({branch.size(0), 1, 1, 1}, branch.options().device(torch::kCPU))
          .bernoulli_(kept, generator)
          .div_(kept);
  return branch * noise.to(branch.device());
}

torch::Tensor SwinBlockImpl::forward(const torch::Tensor& x, const torch::Generator& generator) {
  const torch::Tensor y = x + drop(attention_->forward(norm1_->forward(x)), generator);
  return y + drop(out_->forward(at::gelu(hidden_->forward(norm2_->forward(y)))), generator);
}

void SwinBlockImpl::draw_defaults(torch::Generator& generator) {
  attention_->draw_defaults(generator);
  for (const Dense& dense : {hidden_, out_}) {
    draw_dense(dense, generator);
  }
  for (const Dense& dense : {hidden_, out_}) {
    init::xavier_uniform(dense->weight, generator);
    init::normal(dense->bias, kBiasStd, generator);
  }
}

void SwinBlockImpl::draw_final(torch::Generator& generator) {
  attention_->draw_final(generator);
  draw_final_dense(hidden_, generator);
  draw_final_dense(out_, generator);
}

PatchMergingImpl::PatchMergingImpl(std::int64_t channels) {
  reduction_ = register_module("reduction", std::make_shared<torch::nn::Module>())
                   ->register_parameter("weight", torch::zeros({2 * channels, 4 * channels}));
  norm_ = register_module("norm", layer_norm(4 * channels));
}

torch::Tensor PatchMergingImpl::forward(const torch::Tensor& x) {
  const torch::Tensor even = at::constant_pad_nd(x, {0, 0, 0, x.size(2) % 2, 0, x.size(1) % 2});
  const auto quarter = [&](std::int64_t y, std::int64_t x0) {
    return even.slice(1, y, c10::nullopt, 2).slice(2, x0, c10::nullopt, 2);
  };
  const torch::Tensor four =
      torch::cat({quarter(0, 0), quarter(1, 0), quarter(0, 1), quarter(1, 1)}, 3);
  return at::linear(norm_->forward(four), reduction_);
}

void PatchMergingImpl::draw_defaults(torch::Generator& generator) {
  init::torch_default(reduction_, {}, generator);
}

void PatchMergingImpl::draw_final(torch::Generator& generator) {
  init::truncated_normal(reduction_, kStd, generator);
}

}  // namespace batchscope::models
