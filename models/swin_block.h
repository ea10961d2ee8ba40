#pragma once

#include "models/layers.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <cstdint>

namespace batchscope::models {

/// The parts of a Swin Transformer. Feature maps are [B, H, W, C]. Names and semantics:
/// torchvision's models.swin_transformer.

struct SwinBlockOptions {
  std::int64_t channels = 96;
  std::int64_t heads = 3;
  std::int64_t window = 7;      // px of the map, both sides
  std::int64_t shift = 0;       // of the windows, down and right
  std::int64_t mlp_factor = 4;  // hidden channels per channel
  double drop = 0;              // probability that a picture leaves a branch out in training
};

/// Multi-head attention within windows, with a learned bias per relative position. Children: qkv,
/// proj; parameter relative_position_bias_table; buffer relative_position_index.
class WindowAttentionImpl : public torch::nn::Module {
 public:
  explicit WindowAttentionImpl(const SwinBlockOptions& options);
  /// Sides of any length: maps are padded with zeros to whole windows. Along a side of one window
  /// nothing is shifted.
  torch::Tensor forward(const torch::Tensor& x);
  void draw_defaults(torch::Generator& generator);
  void draw_final(torch::Generator& generator);

 private:
  /// What is added to the products of queries and keys: [heads, n, n] or, per window of a shifted
  /// map, [windows, heads, n, n], with n = window².
  torch::Tensor bias(std::int64_t rows, std::int64_t columns, const torch::Tensor& x) const;

  SwinBlockOptions options_;
  Dense qkv_ = nullptr, proj_ = nullptr;
  torch::Tensor table_, index_;
};
TORCH_MODULE(WindowAttention);

/// norm1, attn, norm2 and mlp with two residual branches.
class SwinBlockImpl : public torch::nn::Module {
 public:
  explicit SwinBlockImpl(const SwinBlockOptions& options);
  /// generator: of the branches that are left out (stochastic depth, picture by picture);
  /// undefined: none are.
  torch::Tensor forward(const torch::Tensor& x, const torch::Generator& generator);
  /// What torch draws when the block is built, and what it draws over that at the end.
  void draw_defaults(torch::Generator& generator);
  void draw_final(torch::Generator& generator);

 private:
  torch::Tensor drop(const torch::Tensor& branch, const torch::Generator& generator) const;

  SwinBlockOptions options_;
  torch::nn::LayerNorm norm1_ = nullptr, norm2_ = nullptr;
  WindowAttention attention_ = nullptr;
  Dense hidden_ = nullptr, out_ = nullptr;
};
TORCH_MODULE(SwinBlock);

/// Four neighbours become one with twice the channels; odd sides are padded with zeros. Children:
/// norm, reduction.
class PatchMergingImpl : public torch::nn::Module {
 public:
  explicit PatchMergingImpl(std::int64_t channels);
  torch::Tensor forward(const torch::Tensor& x);
  void draw_defaults(torch::Generator& generator);
  void draw_final(torch::Generator& generator);

 private:
  torch::nn::LayerNorm norm_ = nullptr;
  torch::Tensor reduction_;  // [2C, 4C]
};
TORCH_MODULE(PatchMerging);

}  // namespace batchscope::models
