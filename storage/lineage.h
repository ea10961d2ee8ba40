#pragma once

#include "engine/contract/records.h"

#include <cstdint>
#include <limits>
#include <vector>

namespace batchscope::storage {

/// A part of one segment, last_step included (kNoEnd: to its end).
struct LineageSpan {
  static constexpr std::int64_t kNoEnd = std::numeric_limits<std::int64_t>::max();
  std::int64_t segment = 0, first_step = 0, last_step = 0;
};
/// The segments that lead to `segment` (default: the newest), oldest first, each with the steps
/// that count: what is drawn as the run's line; all other rows are abandoned.
std::vector<LineageSpan> lineage(const std::vector<contract::SegmentRecord>& segments);
std::vector<LineageSpan> lineage(const std::vector<contract::SegmentRecord>& segments,
                                 std::int64_t segment);
/// True if a row of that segment and step lies on the line.
bool on_lineage(const std::vector<LineageSpan>& spans, std::int64_t segment, std::int64_t step);

}  // namespace batchscope::storage
