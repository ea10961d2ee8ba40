#include "engine/train/shared_norms.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/autograd.h>

#include <algorithm>
#include <vector>

namespace batchscope::train {
namespace {

std::vector<torch::Tensor> trained_parameters(const models::Detector& model) {
  std::vector<torch::Tensor> out;
  for (const torch::Tensor& parameter : model.parameters()) {
    if (parameter.requires_grad()) {
      out.push_back(parameter);
    }
  }
  return out;
}

/// A picture with nothing in it, in every form that a model may ask for.
models::Target empty_target(std::int64_t side, const torch::TensorOptions& options) {
  return {.boxes = torch::zeros({0, 4}, options),
          .labels = torch::zeros({0}, options.dtype(torch::kInt64)),
          .masks = torch::zeros({0, side, side}, options.dtype(torch::kUInt8)),
          .semantic = torch::zeros({side, side}, options.dtype(torch::kInt16))};
}

}  // namespace

SharedNorms::SharedNorms(models::Detector& model, Group& group, std::int64_t each)
    : model_(model), world_(group.size()) {
  const std::int64_t count = each == 0 ? world_ : std::min(each, world_);
  if (count < 2) {
    return;
  }
  auto shared = std::make_shared<models::SharedStatistics>();
  if (models::share_statistics(model, shared) == 0) {
    return;
  }
  shared_ = std::move(shared);
  part_ = group.subgroup(group.rank() / count * count, count);
  shared_->sum = [part = part_.get()](torch::Tensor& tensor) { part->all_reduce_sum(tensor); };
}

std::int64_t SharedNorms::idle_passes(const StepPlan& plan) const {
  if (!part_) {
    return 0;
  }
  const std::int64_t most = (plan.micros + world_ - 1) / world_;
  return most - (plan.last_micro - plan.first_micro);
}

void SharedNorms::pass_without_pictures(const torch::Device& device, torch::ScalarType dtype) {
  const std::int64_t side = 2 * model_.input_transform().size_divisor;
  const torch::TensorOptions options = torch::TensorOptions(device).dtype(dtype);
  shared_->counts = false;
  torch::Tensor sum = torch::zeros({}, options);
  for (const auto& [name, value] : model_.losses(torch::zeros({1, 3, side, side}, options),
                                                 {{side, side}},
                                                 {empty_target(side, options)},
                                                 at::detail::createCPUGenerator(0))) {
    sum = sum + value;
  }
  // Not backward(): its hooks on the parameters belong to the pass that sums the gradients.
  torch::autograd::grad({sum},
                        trained_parameters(model_),
                        {torch::zeros_like(sum)},
                        c10::nullopt,
                        /*create_graph=*/false,
                        /*allow_unused=*/true);
  shared_->counts = true;
}

}  // namespace batchscope::train
