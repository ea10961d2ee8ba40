#include "engine/metrics/coco_box.h"

#include "engine/metrics/coco_match.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <span>
#include <unordered_map>

// coco_match.cpp and this file follow pycocotools/cocoeval.py (evaluateImg, accumulate, summarize)
// line by line where the result depends on it: strict and loose comparisons, orders of ties and of
// operations. They are compiled without contraction to fused multiply-adds.

namespace batchscope::train {
namespace {

constexpr std::size_t kRecalls = 101;

/// Precision at each recall threshold and final recall; -1: no truth.
struct Curve {
  bool measured = false;
  std::array<double, kRecalls> precision{};
  double recall = 0;
};

/// Detections of the first `cut` of each cell, by falling score; equal scores keep their order.
std::vector<std::size_t> ranked(const Category& category, std::size_t cut) {
  std::vector<std::size_t> order;
  for (const Stretch& cell : category.cells) {
    for (std::size_t d = 0; d < std::min(cut, cell.count); ++d) {
      order.push_back(cell.start + d);
    }
  }
  std::stable_sort(order.begin(), order.end(), [&category](std::size_t a, std::size_t b) {
    return category.scores[a] > category.scores[b];
  });
  return order;
}

Curve trace(const std::vector<std::size_t>& order,
            const std::vector<std::uint8_t>& verdict,
            std::size_t positives,
            std::vector<double>& recall,
            std::vector<double>& precision) {
  Curve curve;
  if (positives == 0) {
    return curve;
  }
  curve.measured = true;
  recall.clear();
  precision.clear();
  double hits = 0, misses = 0;
  for (const std::size_t d : order) {
    hits += verdict[d] == 1 ? 1 : 0;
    misses += verdict[d] == 0 ? 1 : 0;
    recall.push_back(hits / static_cast<double>(positives));
    precision.push_back(hits / (misses + hits + std::numeric_limits<double>::epsilon()));
  }
  curve.recall = recall.empty() ? 0 : recall.back();
  for (std::size_t i = precision.size(); i > 1; --i) {
    precision[i - 2] = std::max(precision[i - 2], precision[i - 1]);
  }
  std::size_t at = 0;
  for (std::size_t r = 0; r < kRecalls; ++r) {
    const double wanted = r + 1 == kRecalls ? 1.0 : static_cast<double>(r) * 0.01;
    while (at < recall.size() && recall[at] < wanted) {
      ++at;
    }
    curve.precision[r] = at < recall.size() ? precision[at] : 0;
  }
  return curve;
}

/// A mean over what was measured; -1 where nothing was.
struct Mean {
  double sum = 0;
  std::size_t count = 0;
  double value() const { return count == 0 ? -1 : sum / static_cast<double>(count); }
  void add(double part, std::size_t n) {
    sum += part;
    count += n;
  }
};

struct Totals {
  std::array<Mean, kAreas> precision;  // 100 detections
  Mean precision50, precision75;
  std::array<Mean, kCuts> recall;        // all areas
  std::array<Mean, kAreas> recall_area;  // 100 detections
};

void add_category(const Category& category, Totals& totals) {
  std::vector<double> recall, precision;
  for (std::size_t cut = 0; cut < kCuts; ++cut) {
    const std::vector<std::size_t> order = ranked(category, kMaxDetections[cut]);
    const bool full = cut + 1 == kCuts;
    for (std::size_t area = 0; area < (full ? kAreas : 1); ++area) {
      for (std::size_t k = 0; k < kThresholds; ++k) {
        const Curve curve =
            trace(order, category.verdict[area][k], category.positives[area], recall, precision);
        if (!curve.measured) {
          continue;
        }
        if (area == 0) {
          totals.recall[cut].add(curve.recall, 1);
        }
        if (!full) {
          continue;
        }
        totals.recall_area[area].add(curve.recall, 1);
        const double sum = std::accumulate(curve.precision.begin(), curve.precision.end(), 0.0);
        totals.precision[area].add(sum, kRecalls);
        if (area == 0 && k == 0) {
          totals.precision50.add(sum, kRecalls);
        } else if (area == 0 && k == 5) {
          totals.precision75.add(sum, kRecalls);
        }
      }
    }
  }
}

/// Entries of wanted pictures and categories by (category, picture).
template <typename Entry>
std::vector<Placed<Entry>> place(const std::vector<Entry>& entries,
                                 const std::unordered_map<std::int64_t, std::size_t>& images,
                                 const std::unordered_map<std::int64_t, std::size_t>& categories) {
  std::vector<Placed<Entry>> placed;
  placed.reserve(entries.size());
  for (const Entry& entry : entries) {
    const auto image = images.find(entry.image);
    const auto category = categories.find(entry.category);
    if (image != images.end() && category != categories.end()) {
      placed.push_back({category->second * images.size() + image->second, &entry});
    }
  }
  return placed;
}

/// Takes the entries of `cell` off the front of `rest`.
template <typename Entry>
std::span<const Placed<Entry>> take(std::span<const Placed<Entry>>& rest, std::size_t cell) {
  std::size_t n = 0;
  while (n < rest.size() && rest[n].cell == cell) {
    ++n;
  }
  const auto taken = rest.first(n);
  rest = rest.subspan(n);
  return taken;
}

/// Each id's rank among the distinct ids, ascending: pictures are gone through in this order, which
/// decides between equal scores.
std::unordered_map<std::int64_t, std::size_t> ranks_of(std::vector<std::int64_t> ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::unordered_map<std::int64_t, std::size_t> ranks;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ranks[ids[i]] = i;
  }
  return ranks;
}

}  // namespace

std::map<std::string, double> coco_box_metrics(const std::vector<std::int64_t>& images,
                                               const std::vector<std::int64_t>& categories,
                                               const std::vector<EvalTruth>& truth,
                                               const std::vector<EvalDetection>& detections) {
  const auto image_ranks = ranks_of(images);
  const auto category_ranks = ranks_of(categories);
  auto truths = place(truth, image_ranks, category_ranks);
  auto found = place(detections, image_ranks, category_ranks);
  std::stable_sort(
      truths.begin(), truths.end(), [](const auto& a, const auto& b) { return a.cell < b.cell; });
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.cell != b.cell ? a.cell < b.cell : sort_score(*a.entry) > sort_score(*b.entry);
  });
  Totals totals;
  Matcher matcher;
  std::span<const Placed<EvalTruth>> truths_left = truths;
  std::span<const Placed<EvalDetection>> found_left = found;
  for (std::size_t c = 0; c < category_ranks.size(); ++c) {
    Category category;
    for (;;) {
      std::size_t cell = (c + 1) * image_ranks.size();
      cell = truths_left.empty() ? cell : std::min(cell, truths_left.front().cell);
      cell = found_left.empty() ? cell : std::min(cell, found_left.front().cell);
      if (cell == (c + 1) * image_ranks.size()) {
        break;
      }
      const auto objects = take(truths_left, cell);
      const auto best = take(found_left, cell);
      matcher.match({objects, best.first(std::min(best.size(), kMaxDetections.back()))}, category);
    }
    add_category(category, totals);
  }
  return {{"AP", totals.precision[0].value()},
          {"AP50", totals.precision50.value()},
          {"AP75", totals.precision75.value()},
          {"APs", totals.precision[1].value()},
          {"APm", totals.precision[2].value()},
          {"APl", totals.precision[3].value()},
          {"AR1", totals.recall[0].value()},
          {"AR10", totals.recall[1].value()},
          {"AR100", totals.recall[2].value()},
          {"ARs", totals.recall_area[1].value()},
          {"ARm", totals.recall_area[2].value()},
          {"ARl", totals.recall_area[3].value()}};
}

}  // namespace batchscope::train
