#pragma once

#include "engine/metrics/coco_match.h"

namespace batchscope::train {

/// A mean over what was measured; -1 where nothing was.
struct MeasuredMean {
  double sum = 0;
  std::size_t count = 0;
  double value() const { return count == 0 ? -1 : sum / static_cast<double>(count); }
  void add(double part, std::size_t n) {
    sum += part;
    count += n;
  }
  MeasuredMean& operator+=(const MeasuredMean& other) {
    add(other.sum, other.count);
    return *this;
  }
};

/// What COCO's figures are means of (COCOeval.accumulate and summarize).
struct CocoTotals {
  std::array<MeasuredMean, kAreas> precision;
  MeasuredMean precision50, precision75;
  std::array<MeasuredMean, kCuts> recall;  // all areas
  std::array<MeasuredMean, kAreas> recall_area;

  CocoTotals& operator+=(const CocoTotals& other);
  /// The 12 figures by name; the third recall is called "AR" with `max_detections`.
  std::map<std::string, double> figures(std::size_t max_detections) const;
};

/// The totals of one category; with `figures` also its curves.
CocoTotals trace_category(const CategoryMatches& matches, CategoryFigures* figures);

}  // namespace batchscope::train
