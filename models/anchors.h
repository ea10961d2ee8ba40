#pragma once

#include <torch/types.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace batchscope::models {

/// Sizes (px) and aspect ratios (height over width) of the anchors of each pyramid level.
struct AnchorOptions {
  std::vector<std::vector<std::int64_t>> sizes;
  std::vector<std::vector<double>> aspect_ratios;
};

/// Anchors on a grid, as torchvision's AnchorGenerator makes them: corners rounded to whole pixels
/// around each cell's origin.
class AnchorGenerator {
 public:
  /// Throws std::invalid_argument unless both lists have an entry for every level.
  explicit AnchorGenerator(const AnchorOptions& options);
  /// Anchors of one cell at a level.
  std::int64_t per_cell(std::size_t level) const { return cells_[level].size(0); }
  /// The anchors of a picture, [A, 4] per level: row by row, cell by cell. image: height and width
  /// of the padded batch; grids: height and width of each level's feature map; of the dtype and
  /// device of `like`.
  std::vector<torch::Tensor> levels(std::pair<std::int64_t, std::int64_t> image,
                                    const std::vector<std::pair<std::int64_t, std::int64_t>>& grids,
                                    const torch::Tensor& like) const;

 private:
  std::vector<torch::Tensor> cells_;  // [k, 4] around the origin
};

}  // namespace batchscope::models
