#include "models/panoptic_merge.h"

#include <map>
#include <span>
#include <vector>

namespace batchscope::models {
namespace {

class Merge {
 public:
  explicit Merge(const torch::Tensor& stuff)
      : map_(torch::zeros(stuff.sizes(), torch::kInt32)),
        pixels_(map_.mutable_data_ptr<std::int32_t>(), static_cast<std::size_t>(map_.numel())) {}

  void add_thing(const std::uint8_t* mask, std::int64_t label, double max_overlap) {
    std::int64_t area = 0, taken = 0;
    for (std::size_t i = 0; i < pixels_.size(); ++i) {
      area += mask[i] != 0 ? 1 : 0;
      taken += mask[i] != 0 && pixels_[i] != 0 ? 1 : 0;
    }
    if (taken == area || static_cast<double>(taken) / static_cast<double>(area) > max_overlap) {
      return;
    }
    labels_.push_back(label);
    for (std::size_t i = 0; i < pixels_.size(); ++i) {
      if (mask[i] != 0 && pixels_[i] == 0) {
        pixels_[i] = static_cast<std::int32_t>(labels_.size());
      }
    }
  }

  void add_stuff(const std::int64_t* stuff, std::int64_t min_area) {
    std::map<std::int64_t, std::int64_t> areas;
    for (std::size_t i = 0; i < pixels_.size(); ++i) {
      if (pixels_[i] == 0 && stuff[i] != 0) {
        ++areas[stuff[i]];
      }
    }
    std::map<std::int64_t, std::int32_t> segments;
    for (const auto& [label, area] : areas) {
      if (area >= min_area) {
        labels_.push_back(label);
        segments[label] = static_cast<std::int32_t>(labels_.size());
      }
    }
    for (std::size_t i = 0; i < pixels_.size(); ++i) {
      const auto found = pixels_[i] == 0 ? segments.find(stuff[i]) : segments.end();
      pixels_[i] = found == segments.end() ? pixels_[i] : found->second;
    }
  }

  PanopticSegments result() const { return {map_, torch::tensor(labels_, torch::kInt64)}; }

 private:
  torch::Tensor map_;
  std::span<std::int32_t> pixels_;
  std::vector<std::int64_t> labels_;
};

}  // namespace

PanopticSegments merge_panoptic(const Detection& things,
                                const torch::Tensor& masks,
                                const torch::Tensor& stuff,
                                const PanopticMergeOptions& options) {
  TORCH_CHECK(stuff.dim() == 2 && stuff.scalar_type() == torch::kInt64 &&
                  masks.sizes().slice(1) == stuff.sizes(),
              "merge_panoptic: expected masks [N, H, W] and stuff [H, W] int64, found ",
              masks.sizes(),
              " and ",
              stuff.sizes());
  const torch::Tensor planes = masks.contiguous(), areas = stuff.contiguous();
  const torch::Tensor scores = things.scores.to(torch::kFloat64).contiguous();
  const torch::Tensor labels = things.labels.contiguous();
  Merge merge(stuff);
  for (std::int64_t i = 0; i < planes.size(0); ++i) {
    if (scores.const_data_ptr<double>()[i] < options.min_score) {
      break;
    }
    merge.add_thing(planes.const_data_ptr<std::uint8_t>() + i * stuff.numel(),
                    labels.const_data_ptr<std::int64_t>()[i],
                    options.max_overlap);
  }
  merge.add_stuff(areas.const_data_ptr<std::int64_t>(), options.min_stuff_area);
  return merge.result();
}

}  // namespace batchscope::models
