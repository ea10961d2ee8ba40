#include "engine/metrics/panoptic.h"

#include <stdexcept>
#include <unordered_set>

namespace batchscope::train {
namespace {

constexpr std::uint32_t kVoid = 0;

using Segments = std::unordered_map<std::uint32_t, PanopticSegment>;

Segments by_id(const std::vector<PanopticSegment>& list) {
  Segments segments;
  for (const PanopticSegment& s : list) {
    segments[s.id] = s;
  }
  return segments;
}

/// Areas of the predicted segments, and of true ones whose file does not say them.
void measure(const std::vector<LabelPair>& pairs, Segments& truth, Segments& found) {
  std::unordered_map<std::uint32_t, std::int64_t> true_areas;
  for (auto& [id, segment] : found) {
    segment.area = 0;
  }
  for (const LabelPair& pair : pairs) {
    true_areas[pair.truth] += static_cast<std::int64_t>(pair.pixels);
    const auto segment = found.find(pair.found);
    if (segment != found.end()) {
      segment->second.area += static_cast<std::int64_t>(pair.pixels);
    } else if (pair.found != kVoid) {
      throw std::invalid_argument("the label " + std::to_string(pair.found) +
                                  " has no entry in segments_info");
    }
  }
  for (const auto& [id, segment] : found) {
    if (segment.area == 0) {
      throw std::invalid_argument("the segment " + std::to_string(id) + " has no pixel");
    }
  }
  for (auto& [id, segment] : truth) {
    segment.area = segment.area < 0 ? true_areas[id] : segment.area;
  }
}

/// One picture.
class Picture {
 public:
  Picture(const LabelMap& truth,
          const std::vector<PanopticSegment>& truth_segments,
          const LabelMap& found,
          const std::vector<PanopticSegment>& found_segments)
      : pairs_(count_pairs(truth, found)),
        truths_(by_id(truth_segments)),
        founds_(by_id(found_segments)) {
    measure(pairs_, truths_, founds_);
    for (const LabelPair& pair : pairs_) {
      if (pair.truth == kVoid) {
        excused_[pair.found] = pair.pixels;
      }
    }
  }

  void count_hits(PanopticTotals& totals) {
    for (const LabelPair& pair : pairs_) {
      const auto t = truths_.find(pair.truth);
      const auto f = founds_.find(pair.found);
      if (t == truths_.end() || f == founds_.end() || t->second.crowd ||
          t->second.category != f->second.category) {
        continue;
      }
      const auto both = static_cast<double>(pair.pixels);
      const double all = static_cast<double>(f->second.area) + static_cast<double>(t->second.area) -
                         both - static_cast<double>(excused_[pair.found]);
      const double iou = both / all;
      if (iou > 0.5) {
        PanopticCounts& counts = totals[t->second.category];
        ++counts.hits;
        counts.iou += iou;
        truth_matched_.insert(pair.truth);
        found_matched_.insert(pair.found);
      }
    }
  }

  /// truth: in the order of the file; the last crowd of a category stands for it, as in
  /// panopticapi.
  void count_misses(const std::vector<PanopticSegment>& truth, PanopticTotals& totals) {
    for (const PanopticSegment& t : truth) {
      if (t.crowd) {
        crowds_[t.category] = t.id;
      } else if (!truth_matched_.contains(t.id)) {
        ++totals[t.category].misses;
      }
    }
  }

  void count_false_alarms(PanopticTotals& totals) {
    for (const LabelPair& pair : pairs_) {
      const auto f = founds_.find(pair.found);
      const auto crowd = f == founds_.end() ? crowds_.end() : crowds_.find(f->second.category);
      if (crowd != crowds_.end() && crowd->second == pair.truth) {
        excused_[pair.found] += pair.pixels;
      }
    }
    for (const auto& [id, segment] : founds_) {
      const double excused = static_cast<double>(excused_[id]) / static_cast<double>(segment.area);
      if (!found_matched_.contains(id) && excused <= 0.5) {
        ++totals[segment.category].false_alarms;
      }
    }
  }

 private:
  std::vector<LabelPair> pairs_;
  Segments truths_, founds_;
  std::unordered_map<std::uint32_t, std::uint64_t>
      excused_;  // pixels of a prediction, by its label
  std::unordered_set<std::uint32_t> truth_matched_, found_matched_;
  std::unordered_map<std::int64_t, std::uint32_t> crowds_;  // by category
};

}  // namespace

PanopticCounts& PanopticCounts::operator+=(const PanopticCounts& other) {
  iou += other.iou;
  hits += other.hits;
  misses += other.misses;
  false_alarms += other.false_alarms;
  return *this;
}

void count_panoptic(const LabelMap& truth,
                    const std::vector<PanopticSegment>& truth_segments,
                    const LabelMap& found,
                    const std::vector<PanopticSegment>& found_segments,
                    PanopticTotals& totals) {
  Picture picture(truth, truth_segments, found, found_segments);
  picture.count_hits(totals);
  picture.count_misses(truth_segments, totals);
  picture.count_false_alarms(totals);
}

PanopticQuality quality_of(const PanopticCounts& counts) {
  if (counts.hits + counts.misses + counts.false_alarms == 0) {
    return {};
  }
  const auto hits = static_cast<double>(counts.hits);
  const double all = hits + 0.5 * static_cast<double>(counts.false_alarms) +
                     0.5 * static_cast<double>(counts.misses);
  return {counts.iou / all, counts.hits > 0 ? counts.iou / hits : 0, hits / all, 1};
}

PanopticQuality panoptic_quality(const PanopticTotals& totals,
                                 const std::vector<PanopticCategory>& categories,
                                 PanopticPart part) {
  PanopticQuality sum{0, 0, 0, 0};
  for (const PanopticCategory& category : categories) {
    const auto counts = totals.find(category.id);
    const bool wanted =
        part == PanopticPart::kAll || category.thing == (part == PanopticPart::kThings);
    const PanopticQuality one =
        wanted && counts != totals.end() ? quality_of(counts->second) : PanopticQuality{};
    if (one.categories > 0) {
      sum.pq += one.pq;
      sum.sq += one.sq;
      sum.rq += one.rq;
      ++sum.categories;
    }
  }
  if (sum.categories == 0) {
    return {};
  }
  const auto n = static_cast<double>(sum.categories);
  return {sum.pq / n, sum.sq / n, sum.rq / n, sum.categories};
}

}  // namespace batchscope::train
