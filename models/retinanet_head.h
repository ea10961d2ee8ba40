#pragma once

#include "models/layers.h"

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <optional>
#include <utility>
#include <vector>

namespace batchscope::models {

struct RetinaNetHeadOptions {
  std::int64_t channels = 256;
  std::int64_t anchors_per_cell = 9;  // RetinaNet sets it to what its anchors are
  std::int64_t num_classes = 91;      // with class 0, which no anchor ever has
  std::optional<NormOptions> norm;    // of the four convolutions of each branch
};

/// Four 3x3 convolutions and one more for the output, over every level: one branch of
/// torchvision's RetinaNet head. Children: conv and the output's name.
class RetinaNetBranchImpl : public torch::nn::Module {
 public:
  /// columns: numbers per anchor; output: the name of the last convolution.
  RetinaNetBranchImpl(const RetinaNetHeadOptions& options,
                      std::int64_t columns,
                      const std::string& output);
  /// Per level [N, anchors, columns].
  std::vector<torch::Tensor> forward(const std::vector<torch::Tensor>& features);
  std::vector<ConvBlock>& convolutions() { return convs_; }
  Conv& output() { return output_; }

 private:
  std::int64_t columns_;
  std::vector<ConvBlock> convs_;
  Conv output_ = nullptr;
};
TORCH_MODULE(RetinaNetBranch);

/// Children classification_head (conv, cls_logits) and regression_head (conv, bbox_reg).
class RetinaNetHeadImpl : public torch::nn::Module {
 public:
  explicit RetinaNetHeadImpl(const RetinaNetHeadOptions& options);
  /// Per level: logits [N, A, C] and offsets [N, A, 4].
  std::pair<std::vector<torch::Tensor>, std::vector<torch::Tensor>> forward(
      const std::vector<torch::Tensor>& features);
  /// Normal weights of standard deviation 0.01, biases 0, those of the logits such that each
  /// probability is 0.01: torchvision's draws, in its order.
  void initialise(torch::Generator& generator);

 private:
  RetinaNetBranch classes_ = nullptr, boxes_ = nullptr;
};
TORCH_MODULE(RetinaNetHead);

}  // namespace batchscope::models
