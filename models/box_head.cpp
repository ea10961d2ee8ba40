#include "models/box_head.h"

#include "models/init.h"
#include "models/precision.h"

namespace batchscope::models {
namespace {

class TwoLayerHead : public BoxHead {
 public:
  TwoLayerHead(std::int64_t in, std::int64_t hidden) {
    fc6_ = register_module("fc6", Dense(in, hidden));
    fc7_ = register_module("fc7", Dense(hidden, hidden));
  }

  torch::Tensor forward(const torch::Tensor& pooled) override {
    return fc7_->forward(fc6_->forward(pooled.flatten(1)).relu_()).relu_();
  }

  void initialise(torch::Generator& generator) override {
    for (const Dense& layer : {fc6_, fc7_}) {
      init::torch_default(layer->weight, layer->bias, generator);
    }
  }

 private:
  Dense fc6_ = nullptr, fc7_ = nullptr;
};

class ConvolutionHead : public BoxHead {
 public:
  ConvolutionHead(std::int64_t channels, std::int64_t size, const BoxHeadOptions& options) {
    for (std::int64_t i = 0; i < options.convolutions; ++i) {
      const ConvOptions conv{.in = channels, .out = channels};
      convs_.push_back(options.norm ? ConvBlock(conv, make_norm(*options.norm, channels), true)
                                    : ConvBlock(conv, true));
      register_module(std::to_string(i), convs_.back());
    }
    hidden_ = register_module(std::to_string(options.convolutions + 1),
                              Dense(channels * size * size, options.hidden));
  }

  torch::Tensor forward(const torch::Tensor& pooled) override {
    torch::Tensor x = pooled.contiguous(torch::MemoryFormat::ChannelsLast);
    for (ConvBlock& conv : convs_) {
      x = conv->forward(x);
    }
    return hidden_->forward(x.flatten(1)).relu_();
  }

  void initialise(torch::Generator& generator) override {
    for (const ConvBlock& block : convs_) {
      init::torch_default(block->conv->weight, block->conv->bias, generator);
    }
    init::torch_default(hidden_->weight, hidden_->bias, generator);
    for (const ConvBlock& block : convs_) {
      init::kaiming_normal_fan_out(block->conv->weight, generator);
      init::zero(block->conv->bias);
    }
  }

 private:
  std::vector<ConvBlock> convs_;
  Dense hidden_ = nullptr;
};

}  // namespace

std::shared_ptr<BoxHead> make_box_head(std::int64_t channels,
                                       std::int64_t size,
                                       const BoxHeadOptions& options) {
  if (options.convolutions > 0) {
    return std::make_shared<ConvolutionHead>(channels, size, options);
  }
  return std::make_shared<TwoLayerHead>(channels * size * size, options.hidden);
}

BoxPredictorImpl::BoxPredictorImpl(std::int64_t hidden, std::int64_t num_classes) {
  cls_score_ = register_module("cls_score", Dense(hidden, num_classes));
  bbox_pred_ = register_module("bbox_pred", Dense(hidden, 4 * num_classes));
}

std::pair<torch::Tensor, torch::Tensor> BoxPredictorImpl::forward(const torch::Tensor& features) {
  return {full_precision(cls_score_->forward(features)),
          full_precision(bbox_pred_->forward(features))};
}

void BoxPredictorImpl::initialise(torch::Generator& generator) {
  for (const Dense& layer : {cls_score_, bbox_pred_}) {
    init::torch_default(layer->weight, layer->bias, generator);
  }
}

}  // namespace batchscope::models
