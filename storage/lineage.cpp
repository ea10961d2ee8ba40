#include "storage/lineage.h"

#include <algorithm>

namespace batchscope::storage {

std::vector<LineageSpan> lineage(const std::vector<contract::SegmentRecord>& segments) {
  std::int64_t newest = 0;
  for (const contract::SegmentRecord& record : segments) {
    newest = std::max(newest, record.segment);
  }
  return lineage(segments, newest);
}

std::vector<LineageSpan> lineage(const std::vector<contract::SegmentRecord>& segments,
                                 std::int64_t segment) {
  std::vector<LineageSpan> spans;
  std::int64_t limit = LineageSpan::kNoEnd;
  // No line is longer than the number of segments: a damaged file with a ring of parents ends here.
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const auto found =
        std::find_if(segments.begin(), segments.end(), [segment](const auto& record) {
          return record.segment == segment;
        });
    if (found == segments.end()) {
      break;
    }
    const bool cut = spans.empty() && limit == LineageSpan::kNoEnd && found->abandoned_after >= 0;
    const std::int64_t last = cut ? found->abandoned_after : limit;
    // Undo may go back behind the start of a segment, which then has no part in the line.
    if (last > found->start_step) {
      spans.push_back({segment, found->start_step + 1, last});
    }
    limit = std::min(limit, found->start_step);
    segment = found->parent;
  }
  std::reverse(spans.begin(), spans.end());
  return spans;
}

bool on_lineage(const std::vector<LineageSpan>& spans, std::int64_t segment, std::int64_t step) {
  return std::any_of(spans.begin(), spans.end(), [segment, step](const LineageSpan& span) {
    return span.segment == segment && span.first_step <= step && step <= span.last_step;
  });
}

}  // namespace batchscope::storage
