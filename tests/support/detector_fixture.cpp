#include "tests/support/detector_fixture.h"

#include <torch/utils.h>

#include <cmath>

namespace batchscope::testing {
namespace {

torch::Tensor random_boxes(std::int64_t count, torch::Generator& g) {
  const auto corners = torch::rand({count, 2}, g, torch::kFloat64) * 60;
  return torch::cat({corners, corners + torch::rand({count, 2}, g, torch::kFloat64) * 30 + 1}, 1);
}

torch::Tensor masks_of(const torch::Tensor& boxes, std::pair<std::int64_t, std::int64_t> size) {
  const auto y = torch::arange(size.first).view({1, -1, 1});
  const auto x = torch::arange(size.second).view({1, 1, -1});
  const auto side = [&](std::int64_t column) { return boxes.select(1, column).view({-1, 1, 1}); };
  return ((x + 0.5 >= side(0)) & (x + 0.5 < side(2)) & (y + 0.5 >= side(1)) & (y + 0.5 < side(3)) &
          ((x * y).remainder(5) != 0))
      .to(torch::kUInt8);
}

}  // namespace

torch::Generator generator(std::uint64_t seed) {
  return at::detail::createCPUGenerator(seed);
}

std::map<std::string, torch::Tensor> sorted_state(const torch::nn::Module& model) {
  std::map<std::string, torch::Tensor> state;
  for (const auto& item : model.named_parameters()) {
    state.emplace(item.key(), item.value());
  }
  for (const auto& item : model.named_buffers()) {
    state.emplace(item.key(), item.value());
  }
  return state;
}

void fill_weights(torch::nn::Module& model) {
  const torch::NoGradGuard no_grad;
  std::uint64_t i = 0;
  for (auto& [name, value] : sorted_state(model)) {
    const std::uint64_t seed = 100 + i++;
    // Module::to(dtype) may have made numbers of Swin's indices.
    if (!value.is_floating_point() || name.ends_with("_index")) {
      continue;
    }
    const auto draw = torch::randn(value.sizes(), generator(seed), torch::kFloat64);
    if (value.dim() > 1) {
      value.copy_(draw / std::sqrt(static_cast<double>(value[0].numel())));
    } else if (name.ends_with("running_var")) {
      value.copy_(1 + 0.1 * draw.abs());
    } else {
      value.copy_(0.1 * draw + (name.ends_with("weight") ? 1.0 : 0.0));
    }
  }
}

DetectorBatch make_batch(std::uint64_t seed) {
  DetectorBatch batch{
      torch::randn({2, 3, 96, 128}, generator(seed), torch::kFloat64), {{96, 120}, {90, 128}}, {}};
  auto g = generator(3);
  const std::vector<torch::Tensor> boxes = {random_boxes(5, g), random_boxes(2, g)};
  const std::vector<std::vector<std::int64_t>> labels = {{1, 2, 3, 5, 2}, {4, 1}};
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const auto [height, width] = batch.sizes[i];
    const torch::Tensor image = batch.images[static_cast<std::int64_t>(i)];
    image.slice(1, height).zero_();
    image.slice(2, width).zero_();
    batch.targets.push_back(
        {boxes[i], torch::tensor(labels[i], torch::kInt64), masks_of(boxes[i], batch.sizes[i])});
  }
  return batch;
}

torch::Tensor total(const models::Losses& losses) {
  torch::Tensor sum = losses[0].second;
  for (std::size_t i = 1; i < losses.size(); ++i) {
    sum = sum + losses[i].second;
  }
  return sum;
}

}  // namespace batchscope::testing
