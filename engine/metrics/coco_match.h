#pragma once

#include "engine/metrics/coco_metrics.h"

#include <span>

namespace batchscope::train {

/// The last of the three cuts is CocoMetricOptions::max_detections.
inline constexpr std::array<std::size_t, kCuts - 1> kFirstCuts = {1, 10};
// [low, high] of "all", "small", "medium", "large", px².
inline constexpr std::array<std::array<double, 2>, kAreas> kAreaRange = {
    {{0, 1e10}, {0, 32.0 * 32}, {32.0 * 32, 96.0 * 96}, {96.0 * 96, 1e10}}};

/// A truth or a detection of one category, by its number in the set.
struct Placed {
  std::uint32_t image = 0;  // rank among the pictures
  std::uint32_t entry = 0;
  double score = 0;  // of a detection
};

/// What became of a detection: bit k for overlap threshold k.
struct Verdict {
  std::array<std::uint16_t, kAreas> hit{}, ignored{};
};
inline constexpr std::uint16_t kAllThresholds = (1U << kThresholds) - 1;

/// The detections of one category over all pictures, picture after picture.
struct CategoryMatches {
  std::vector<double> scores;
  std::vector<Verdict> verdicts;
  std::array<std::size_t, kAreas> positives{};  // truths that count
  // Hits among the first 1, 10 and all detections of each picture, all areas.
  std::array<std::array<std::size_t, kThresholds>, kCuts> hits{};
};

/// Matches detections to truth, picture by picture (COCOeval.evaluateImg for every area range and
/// threshold at once). Keeps its buffers between pictures; one thread.
class Matcher {
 public:
  explicit Matcher(const CocoSet& set);
  /// One category in one picture: truth in the order given, detections best first, as many as
  /// count. Appends scores and verdicts.
  void match(std::span<const Placed> truth,
             std::span<const Placed> detections,
             CategoryMatches& matches);

 private:
  void fill_overlaps();
  void fill_mask_overlaps();
  void match_area(std::size_t area, CategoryMatches& matches);
  /// Place in order_ of the truth that detection d takes, or the number of truths.
  std::size_t best_truth(std::size_t d, double threshold) const;
  const EvalTruth& truth(std::size_t t) const { return set_.truth[truths_[t].entry]; }
  const EvalDetection& detection(std::size_t d) const { return set_.detections[found_[d].entry]; }

  const CocoSet& set_;
  std::array<double, kThresholds> thresholds_{};
  std::span<const Placed> truths_, found_;
  std::vector<double> overlaps_;  // [detection][truth]
  std::vector<std::array<double, 4>> boxes_;
  std::vector<std::size_t> order_;
  std::vector<std::uint8_t> taken_;
  std::size_t counted_ = 0;  // truths that are not ignored; they come first in order_
};

}  // namespace batchscope::train
