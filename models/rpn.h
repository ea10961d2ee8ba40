#pragma once

#include "models/anchors.h"
#include "models/boxes.h"
#include "models/detector.h"
#include "models/layers.h"
#include "models/matcher.h"

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <utility>
#include <vector>

namespace batchscope::models {

using PictureSizes = std::vector<std::pair<std::int64_t, std::int64_t>>;  // height, width

/// Proposals kept per level before nms and per picture after it.
struct TopN {
  std::int64_t before = 2000, after = 2000;
};

struct RpnOptions {
  AnchorOptions anchors;
  MatcherOptions matcher{.high = 0.7, .low = 0.3, .allow_low_quality = true};
  SamplerOptions sampler{.per_picture = 256, .positive_fraction = 0.5};
  TopN training{2000, 2000}, inference{1000, 1000};
  double nms_threshold = 0.7;
  double score_threshold = 0;  // probability below which no proposal is made
  std::int64_t conv_depth = 1;
};

/// 3x3 convolutions over every level, then logits and box offsets of its anchors. Names:
/// torchvision's RPNHead.
class RpnHeadImpl : public torch::nn::Module {
 public:
  RpnHeadImpl(std::int64_t channels, std::int64_t anchors_per_cell, std::int64_t depth);
  /// Per level: logits [N, k, H, W] and offsets [N, 4k, H, W].
  std::pair<std::vector<torch::Tensor>, std::vector<torch::Tensor>> forward(
      const std::vector<torch::Tensor>& features);
  /// Normal weights of standard deviation 0.01, biases 0: torchvision's draws, in its order.
  void initialise(torch::Generator& generator);

 private:
  std::vector<ConvBlock> convs_;
  Conv cls_logits_ = nullptr, bbox_pred_ = nullptr;
};
TORCH_MODULE(RpnHead);

/// What the first stage says about a batch.
struct RpnOutput {
  torch::Tensor logits;                 // [N, A]
  torch::Tensor offsets;                // [N, A, 4]
  torch::Tensor anchors;                // [A, 4]
  std::vector<std::int64_t> per_level;  // anchors of each level; their sum is A
};

/// Region proposals, torchvision's RegionProposalNetwork. Child: head.
class RpnImpl : public torch::nn::Module {
 public:
  RpnImpl(std::int64_t channels, const RpnOptions& options);

  /// image: height and width of the padded batch; features: finest level first.
  RpnOutput forward(const std::vector<torch::Tensor>& features,
                    std::pair<std::int64_t, std::int64_t> image);
  /// The best boxes of each picture, [k, 4] each: the best logits of every level, decoded, clipped,
  /// sides >= 1e-3 px, nms within a level. No gradients.
  std::vector<torch::Tensor> propose(const RpnOutput& output,
                                     const PictureSizes& sizes,
                                     const TopN& top) const;
  /// Binary cross entropy of the sampled anchors and smooth L1 (beta 1/9) of the positive ones,
  /// both divided by the number of sampled anchors of the whole micro-batch.
  std::pair<torch::Tensor, torch::Tensor> losses(const RpnOutput& output,
                                                 const std::vector<Target>& targets,
                                                 torch::Generator& generator) const;

  const RpnOptions& options() const { return options_; }
  RpnHead head = nullptr;

 private:
  RpnOptions options_;
  AnchorGenerator anchors_;
  BoxCoder coder_{{1, 1, 1, 1}};
};
TORCH_MODULE(Rpn);

}  // namespace batchscope::models
