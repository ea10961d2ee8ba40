#include "engine/metrics/coco_curve.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace batchscope::train {
namespace {

/// A true positive in the ranking of a category.
struct Hit {
  double precision = 0;  // of the detections up to it
  std::uint32_t rank = 0;
};
using Hits = std::array<std::vector<Hit>, kThresholds>;

/// Detections by falling score; equal scores keep their order.
std::vector<std::uint32_t> ranked(const std::vector<double>& scores) {
  std::vector<std::uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&scores](std::uint32_t a, std::uint32_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  return order;
}

/// The hits of one area range, all thresholds at once. Most detections miss, or are ignored, at
/// all.
void collect(const std::vector<Verdict>& verdicts,
             const std::vector<std::uint32_t>& order,
             std::size_t area,
             Hits& hits) {
  std::array<std::uint32_t, kThresholds> misses{};
  std::uint32_t missed_at_all = 0;
  for (auto& list : hits) {
    list.clear();
  }
  for (std::uint32_t rank = 0; rank < order.size(); ++rank) {
    const unsigned hit = verdicts[order[rank]].hit[area];
    const unsigned counted = kAllThresholds & ~unsigned{verdicts[order[rank]].ignored[area]};
    if (hit == 0 && (counted == 0 || counted == kAllThresholds)) {
      missed_at_all += counted == 0 ? 0 : 1;
      continue;
    }
    for (std::size_t k = 0; k < kThresholds; ++k) {
      if ((hit >> k & 1) != 0) {
        const auto found = static_cast<double>(hits[k].size() + 1);
        const auto missed = static_cast<double>(misses[k] + missed_at_all);
        hits[k].push_back(
            {found / (missed + found + std::numeric_limits<double>::epsilon()), rank});
      } else {
        misses[k] += counted >> k & 1;
      }
    }
  }
}

/// Precision at each recall: the best of all places from the one on that reaches it. Only hits
/// raise the recall, and between hits precision falls, so only hits are looked at.
std::array<double, kRecalls> precision_at_recalls(std::vector<Hit>& hits,
                                                  std::size_t positives,
                                                  std::array<std::size_t, kRecalls>& reached) {
  for (std::size_t i = hits.size(); i > 1; --i) {
    hits[i - 2].precision = std::max(hits[i - 2].precision, hits[i - 1].precision);
  }
  std::array<double, kRecalls> precision{};
  std::size_t at = 0;
  for (std::size_t r = 0; r < kRecalls; ++r) {
    const double wanted = r + 1 == kRecalls ? 1.0 : static_cast<double>(r) * 0.01;
    while (at < hits.size() &&
           static_cast<double>(at + 1) / static_cast<double>(positives) < wanted) {
      ++at;
    }
    reached[r] = at;
    precision[r] = at < hits.size() ? hits[at].precision : 0;
  }
  return precision;
}

/// Recall 0 is reached by the first detection, a miss too.
std::array<double, kRecalls> scores_at_recalls(const std::vector<double>& scores,
                                               const std::vector<std::uint32_t>& order,
                                               const std::vector<Hit>& hits,
                                               const std::array<std::size_t, kRecalls>& reached) {
  std::array<double, kRecalls> score{};
  for (std::size_t r = 0; r < kRecalls; ++r) {
    const bool first = r == 0 && !order.empty();
    if (first || reached[r] < hits.size()) {
      score[r] = scores[order[first ? 0 : hits[reached[r]].rank]];
    }
  }
  return score;
}

}  // namespace

CocoTotals trace_category(const CategoryMatches& matches, CategoryFigures* figures) {
  const std::vector<std::uint32_t> order = ranked(matches.scores);
  CocoTotals totals;
  Hits hits;
  std::array<std::size_t, kRecalls> reached{};
  for (std::size_t area = 0; area < kAreas; ++area) {
    const std::size_t positives = matches.positives[area];
    if (positives == 0) {
      continue;
    }
    const auto recall = [positives](std::size_t found) {
      return static_cast<double>(found) / static_cast<double>(positives);
    };
    collect(matches.verdicts, order, area, hits);
    for (std::size_t k = 0; k < kThresholds; ++k) {
      const auto precision = precision_at_recalls(hits[k], positives, reached);
      const double sum = std::accumulate(precision.begin(), precision.end(), 0.0);
      totals.precision[area].add(sum, kRecalls);
      totals.recall_area[area].add(recall(hits[k].size()), 1);
      if (area > 0) {
        continue;
      }
      if (k == 0 || k == 5) {
        (k == 0 ? totals.precision50 : totals.precision75).add(sum, kRecalls);
      }
      for (std::size_t cut = 0; cut < kCuts; ++cut) {
        totals.recall[cut].add(recall(matches.hits[cut][k]), 1);
      }
      if (figures != nullptr) {
        figures->precision.push_back(precision);
        figures->score.push_back(scores_at_recalls(matches.scores, order, hits[k], reached));
      }
    }
  }
  return totals;
}

CocoTotals& CocoTotals::operator+=(const CocoTotals& other) {
  for (std::size_t a = 0; a < kAreas; ++a) {
    precision[a] += other.precision[a];
    recall_area[a] += other.recall_area[a];
  }
  for (std::size_t c = 0; c < kCuts; ++c) {
    recall[c] += other.recall[c];
  }
  precision50 += other.precision50;
  precision75 += other.precision75;
  return *this;
}

std::map<std::string, double> CocoTotals::figures(std::size_t max_detections) const {
  return {{"AP", precision[0].value()},
          {"AP50", precision50.value()},
          {"AP75", precision75.value()},
          {"APs", precision[1].value()},
          {"APm", precision[2].value()},
          {"APl", precision[3].value()},
          {"AR1", recall[0].value()},
          {"AR10", recall[1].value()},
          {"AR" + std::to_string(max_detections), recall[2].value()},
          {"ARs", recall_area[1].value()},
          {"ARm", recall_area[2].value()},
          {"ARl", recall_area[3].value()}};
}

}  // namespace batchscope::train
