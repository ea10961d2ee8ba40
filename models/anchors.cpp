#include "models/anchors.h"

#include <torch/types.h>

#include <stdexcept>

namespace batchscope::models {

AnchorGenerator::AnchorGenerator(const AnchorOptions& options) {
  if (options.sizes.empty() || options.sizes.size() != options.aspect_ratios.size()) {
    throw std::invalid_argument("anchors: expected sizes and aspect ratios for every level");
  }
  for (std::size_t level = 0; level < options.sizes.size(); ++level) {
    const torch::Tensor sizes = torch::tensor(options.sizes[level], torch::kFloat32);
    const torch::Tensor ratios =
        torch::tensor(options.aspect_ratios[level], torch::kFloat64).to(torch::kFloat32);
    const torch::Tensor tall = torch::sqrt(ratios);
    const torch::Tensor widths = ((1 / tall).unsqueeze(1) * sizes).view(-1);
    const torch::Tensor heights = (tall.unsqueeze(1) * sizes).view(-1);
    cells_.push_back((torch::stack({-widths, -heights, widths, heights}, 1) / 2).round());
  }
}

std::vector<torch::Tensor> AnchorGenerator::levels(
    std::pair<std::int64_t, std::int64_t> image,
    const std::vector<std::pair<std::int64_t, std::int64_t>>& grids,
    const torch::Tensor& like) const {
  if (grids.size() != cells_.size()) {
    throw std::invalid_argument("anchors: expected " + std::to_string(cells_.size()) +
                                " feature maps, found " + std::to_string(grids.size()));
  }
  const auto options = like.options().requires_grad(false);
  std::vector<torch::Tensor> levels;
  for (std::size_t level = 0; level < grids.size(); ++level) {
    const auto [height, width] = grids[level];
    const auto shifts = torch::meshgrid({torch::arange(height, options) * (image.first / height),
                                         torch::arange(width, options) * (image.second / width)},
                                        "ij");
    const torch::Tensor y = shifts[0].reshape(-1), x = shifts[1].reshape(-1);
    const torch::Tensor corners = torch::stack({x, y, x, y}, 1).unsqueeze(1);
    levels.push_back((corners + cells_[level].to(options)).view({-1, 4}));
  }
  return levels;
}

}  // namespace batchscope::models
