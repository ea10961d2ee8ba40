#pragma once

#include "engine/metrics/coco_box.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace batchscope::train {

inline constexpr std::size_t kThresholds = 10, kAreas = 4, kCuts = 3;
inline constexpr std::array<std::size_t, kCuts> kMaxDetections = {1, 10, 100};
// [low, high] of "all", "small", "medium", "large", px².
inline constexpr std::array<std::array<double, 2>, kAreas> kAreaRange = {
    {{0, 1e10}, {0, 32.0 * 32}, {32.0 * 32, 96.0 * 96}, {96.0 * 96, 1e10}}};

/// An entry and its number among the cells (category, picture).
template <typename Entry>
struct Placed {
  std::size_t cell = 0;
  const Entry* entry = nullptr;
};

/// The truth and the detections of one category in one picture.
struct Cell {
  std::span<const Placed<EvalTruth>> truth;           // in the order given
  std::span<const Placed<EvalDetection>> detections;  // best first, at most 100
};

/// Where the detections of one cell are in its category's lists.
struct Stretch {
  std::size_t start = 0;
  std::size_t count = 0;
};

/// The detections of one category over all pictures, picture after picture.
struct Category {
  std::vector<double> scores;
  std::vector<Stretch> cells;
  // [area][threshold][detection]: 0 false, 1 true positive, 2 ignored
  std::array<std::array<std::vector<std::uint8_t>, kThresholds>, kAreas> verdict;
  std::array<std::size_t, kAreas> positives{};  // truths that count
};

/// Order of detections: the score; not-a-number, from a diverged model, comes last as in numpy.
double sort_score(const EvalDetection& detection);

/// Matches detections to truth, cell by cell (COCOeval.evaluateImg for every area range and
/// threshold). Keeps its buffers between cells; one thread.
class Matcher {
 public:
  Matcher();
  /// Appends the cell's scores and verdicts to its category.
  void match(const Cell& cell, Category& category);

 private:
  void match_area(const Cell& cell,
                  const std::array<double, 2>& range,
                  std::array<std::vector<std::uint8_t>, kThresholds>& verdict,
                  std::size_t& positives);
  /// Place in order_ of the truth that detection d takes, or the number of truths.
  std::size_t best_truth(const Cell& cell, std::size_t d, double threshold) const;

  std::array<double, kThresholds> thresholds_{};
  std::vector<double> ious_;  // [detection][truth]
  std::vector<std::size_t> order_;
  std::vector<bool> taken_;
  std::size_t counted_ = 0;  // truths that are not ignored; they come first in order_
};

}  // namespace batchscope::train
