#pragma once

#include "engine/metrics/label_map.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace batchscope::train {

/// A segment of a panoptic picture.
struct PanopticSegment {
  std::uint32_t id = 0;  // its label; 0 is void
  std::int64_t category = 0;
  std::int64_t area = -1;  // px; of the truth, as its file says; negative: counted
  bool crowd = false;
};
struct PanopticCategory {
  std::int64_t id = 0;
  std::string name;
  bool thing = true;
};

/// Matches of one category.
struct PanopticCounts {
  double iou = 0;  // sum over the true positives
  std::uint64_t hits = 0, misses = 0, false_alarms = 0;
  PanopticCounts& operator+=(const PanopticCounts& other);
};

/// Panoptic, segmentation and recognition quality, 0…1; -1 where nothing is there to measure.
struct PanopticQuality {
  double pq = -1, sq = -1, rq = -1;
  std::size_t categories = 0;  // that the means are over
};
/// Of one category.
PanopticQuality quality_of(const PanopticCounts& counts);
using PanopticTotals = std::unordered_map<std::int64_t, PanopticCounts>;

/// Counts one picture as panopticapi does (pq_compute_single_core): a pair of one category matches
/// with an overlap above 0.5, void pixels of the truth being taken out of the union; truth that is
/// crowd is never missed; a prediction that lies by more than half on void and on crowd of its
/// category is no false alarm. The labels of `found` without a segment, but for 0, and segments
/// without a pixel are errors: std::invalid_argument.
void count_panoptic(const LabelMap& truth,
                    const std::vector<PanopticSegment>& truth_segments,
                    const LabelMap& found,
                    const std::vector<PanopticSegment>& found_segments,
                    PanopticTotals& totals);

enum class PanopticPart { kAll, kThings, kStuff };
/// Means over the categories of that part which occur.
PanopticQuality panoptic_quality(const PanopticTotals& totals,
                                 const std::vector<PanopticCategory>& categories,
                                 PanopticPart part);

}  // namespace batchscope::train
