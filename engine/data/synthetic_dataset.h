#pragma once

#include "engine/data/dataset.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

namespace batchscope::train {

struct SyntheticOptions {
  std::int64_t size = 32;  // side of the square pictures, px
  std::int64_t pictures = 4096;
  std::int64_t max_objects = 3;            // one to this many in a picture
  double min_object = 8, max_object = 18;  // side of a shape's box, px
  double noise = 0.10;                     // standard deviation, picture values 0…1
  bool masks = false;                      // Sample::masks is filled
  bool semantic = false;  // and Sample::semantic: the three shapes, and "ground" (label 4) as stuff
  std::uint64_t seed = 0;
  std::uint64_t split = 0;                           // 0 training, 1 validation
  std::size_t cache_bytes = std::size_t{256} << 20;  // drawn pictures kept in memory, at most
};

/// Squares, discs and triangles on a noisy background (labels 1, 2, 3): the distribution of
/// spec/headline.md section 2. Each picture is a function of (seed, split, index) and the drawing
/// options alone. Boxes of a picture do not overlap; a shape fills the width of its box at its
/// widest place, and the true area is its box's. Any thread; the tensors of a sample are shared
/// with later calls and must not be written to.
class SyntheticDataset final : public Dataset {
 public:
  /// Throws contract::SpecError naming the key of [data] that is out of range.
  explicit SyntheticDataset(const SyntheticOptions& options);
  ~SyntheticDataset() override;
  std::int64_t size() const override { return options_.pictures; }
  Sample get(std::int64_t index) const override;
  std::vector<TruthBox> truth(std::int64_t index) const override;
  std::optional<std::vector<Rle>> truth_masks(std::int64_t index) const override;
  std::optional<LabelMap> semantic_truth(std::int64_t index) const override;
  std::optional<PanopticTruth> panoptic_truth(std::int64_t index) const override;
  std::int64_t image_id(std::int64_t index) const override { return index + 1; }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::int64_t category_id(std::int64_t label) const override { return label; }
  std::int64_t things() const override { return 3; }
  std::string checksum() const override { return {}; }

 private:
  Sample draw(std::int64_t index) const;

  SyntheticOptions options_;
  std::vector<std::string> classes_ = {"square", "disc", "triangle"};
  mutable std::shared_mutex mutex_;
  mutable std::vector<std::unique_ptr<const Sample>> cache_;
  mutable std::size_t cached_bytes_ = 0;
};

}  // namespace batchscope::train
