#pragma once

#include "models/body.h"
#include "models/residual_blocks.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/container/any.h>
#include <torch/nn/pimpl.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace batchscope::models {

struct ResNetOptions {
  std::array<std::int64_t, 4> widths = {64, 128, 256, 512};  // the first is the stem's too
  std::array<std::int64_t, 4> blocks = {2, 2, 2, 2};
  bool bottleneck = false;
  /// Classes of the classifier that torch draws weights for when it builds the network, and that a
  /// detector leaves out; 0: none.
  std::int64_t classifier = 1000;
  NormOptions norm;

  /// Channels of the four feature maps.
  std::vector<std::int64_t> channels() const;
};

/// The layout of "resnet18", "resnet34", "resnet50" or "resnet101". Throws std::invalid_argument
/// for another name.
ResNetOptions resnet_options(const std::string& name);

/// A residual network without its classifier: 7x7 stem of stride 2, max pooling, four layers.
/// Makes no random choices. Names and semantics: torchvision's ResNet.
class ResNetImpl : public Body {
 public:
  explicit ResNetImpl(const ResNetOptions& options);
  std::vector<torch::Tensor> forward(const torch::Tensor& x,
                                     const torch::Generator& generator) override;
  std::vector<std::int64_t> channels() const override { return options_.channels(); }
  /// Kaiming normal (fan out) convolutions.
  void initialise(torch::Generator& generator) override;
  /// Of conv1 and layer1…layer4; 5 trains the stem's norm too.
  void train_layers(std::int64_t count) override;

 private:
  ResNetOptions options_;
  Conv conv1_ = nullptr;
  torch::nn::AnyModule bn1_;
  std::array<std::vector<std::shared_ptr<ResidualBlock>>, 4> layers_;
};
TORCH_MODULE(ResNet);

}  // namespace batchscope::models
