#pragma once

#include "tests/support/detector_fixture.h"

#include <torch/optim.h>

/// Pictures that a small model learns by heart in seconds.
namespace batchscope::testing {

constexpr std::int64_t kShapeThings = 2, kShapeStuff = 2;

/// Two pictures of 96x96 and 96x80 px, float32: stuff 3 above stuff 4, and on them a thing of
/// class 1 and one of class 2; a strip at the bottom is not labelled. Each label has a brightness.
inline DetectorBatch make_shapes() {
  auto g = generator(8);
  DetectorBatch batch{torch::zeros({2, 3, 96, 96}), {{96, 96}, {96, 80}}, {}};
  const std::int64_t corners[2][2][2] = {{{12, 20}, {50, 44}}, {{40, 8}, {8, 52}}};  // x, y
  for (std::int64_t i = 0; i < 2; ++i) {
    const auto [height, width] = batch.sizes[static_cast<std::size_t>(i)];
    models::Target target;
    target.semantic = torch::full({height, width}, 3, torch::kInt16);
    target.semantic.slice(0, 56).fill_(4);
    target.masks = torch::zeros({2, height, width}, torch::kUInt8);
    target.labels = torch::tensor({1, 2}, torch::kInt64);
    target.boxes = torch::zeros({2, 4});
    for (std::int64_t k = 0; k < 2; ++k) {
      const auto [x, y] = corners[i][k];
      const auto paint = [&, x = x, y = y](const torch::Tensor& plane, std::int64_t value) {
        plane.slice(0, y, y + 32).slice(1, x, x + 24).fill_(value);
      };
      paint(target.semantic, k + 1);
      paint(target.masks[k], 1);
      target.boxes[k].copy_(torch::tensor({x, y, x + 24, y + 32}));
    }
    const torch::Tensor shade = torch::tensor({0.0F, 2.0F, -2.0F, 0.7F, -0.7F})
                                    .index_select(0, target.semantic.flatten().to(torch::kInt64))
                                    .view({height, width});
    batch.images[i]
        .slice(1, 0, height)
        .slice(2, 0, width)
        .copy_(shade + 0.1 * torch::randn({3, height, width}, g));
    target.semantic.slice(0, 92).fill_(0);
    batch.targets.push_back(std::move(target));
  }
  return batch;
}

/// `steps` steps of AdamW on one batch.
inline void fit(models::Detector& model, const DetectorBatch& batch, int steps) {
  torch::optim::AdamW optimizer(model.parameters(), torch::optim::AdamWOptions(1e-3));
  model.train();
  for (int step = 0; step < steps; ++step) {
    optimizer.zero_grad();
    const auto seed = static_cast<std::uint64_t>(step);
    total(model.losses(batch.images, batch.sizes, batch.targets, generator(seed))).backward();
    optimizer.step();
  }
  model.eval();
}

}  // namespace batchscope::testing
