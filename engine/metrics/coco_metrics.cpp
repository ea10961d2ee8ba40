#include "engine/metrics/coco_metrics.h"

#include "engine/metrics/coco_curve.h"
#include "engine/metrics/coco_match.h"
#include "engine/metrics/parallel.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <unordered_map>

// coco_match.cpp, coco_curve.cpp and this file follow pycocotools/cocoeval.py (evaluateImg,
// accumulate, summarize) where the result depends on it: strict and loose comparisons, orders of
// ties and of operations. They are compiled without contraction to fused multiply-adds.

namespace batchscope::train {
namespace {

using Ranks = std::unordered_map<std::int64_t, std::uint32_t>;

/// Each id's rank among the distinct ids, ascending: pictures are gone through in this order, which
/// decides between equal scores.
Ranks ranks_of(const std::vector<std::int64_t>& sorted) {
  Ranks ranks;
  ranks.reserve(sorted.size());
  for (const std::int64_t id : sorted) {
    ranks.emplace(id, static_cast<std::uint32_t>(ranks.size()));
  }
  return ranks;
}

std::vector<std::int64_t> distinct(std::vector<std::int64_t> ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

/// Not-a-number, from a diverged model, comes last as in numpy.
double sort_score(double score) {
  return std::isnan(score) ? -std::numeric_limits<double>::infinity() : score;
}

double score_of(const EvalTruth& /*truth*/) {
  return 0;
}
double score_of(const EvalDetection& detection) {
  return sort_score(detection.score);
}

/// Entries of wanted pictures, category by category; starts[c] is where category c begins.
struct Buckets {
  std::vector<Placed> placed;
  std::vector<std::size_t> starts;
  std::span<Placed> of(std::size_t c) {
    return std::span(placed).subspan(starts[c], starts[c + 1] - starts[c]);
  }
};

template <typename Entry>
Buckets bucket(const std::vector<Entry>& entries, const Ranks& images, const Ranks& categories) {
  constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::pair<std::uint32_t, std::uint32_t>> places(entries.size(), {kNone, kNone});
  Buckets out;
  out.starts.assign(categories.size() + 2, 0);
  auto image = images.end();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (image == images.end() || image->first != entries[i].image) {
      image = images.find(entries[i].image);  // neighbours are mostly of one picture
    }
    const auto category = categories.find(entries[i].category);
    if (image != images.end() && category != categories.end()) {
      places[i] = {category->second, image->second};
      ++out.starts[category->second + 2];
    }
  }
  for (std::size_t c = 2; c < out.starts.size(); ++c) {
    out.starts[c] += out.starts[c - 1];
  }
  out.placed.resize(out.starts.back());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (places[i].first != kNone) {
      out.placed[out.starts[places[i].first + 1]++] = {
          places[i].second, static_cast<std::uint32_t>(i), score_of(entries[i])};
    }
  }
  return out;
}

/// Takes the entries of picture `image` off the front of `rest`.
std::span<const Placed> take(std::span<const Placed>& rest, std::uint32_t image) {
  std::size_t n = 0;
  while (n < rest.size() && rest[n].image == image) {
    ++n;
  }
  const auto taken = rest.first(n);
  rest = rest.subspan(n);
  return taken;
}

CategoryMatches match_category(std::span<Placed> truth,
                               std::span<Placed> found,
                               const CocoSet& set,
                               std::size_t max_detections) {
  std::sort(truth.begin(), truth.end(), [](const Placed& a, const Placed& b) {
    return a.image != b.image ? a.image < b.image : a.entry < b.entry;
  });
  std::sort(found.begin(), found.end(), [](const Placed& a, const Placed& b) {
    return a.image != b.image   ? a.image < b.image
           : a.score != b.score ? a.score > b.score
                                : a.entry < b.entry;
  });
  CategoryMatches matches;
  matches.scores.reserve(found.size());
  matches.verdicts.reserve(found.size());
  Matcher matcher(set);
  std::span<const Placed> truth_left = truth, found_left = found;
  while (!truth_left.empty() || !found_left.empty()) {
    std::uint32_t image = std::numeric_limits<std::uint32_t>::max();
    image = truth_left.empty() ? image : std::min(image, truth_left.front().image);
    image = found_left.empty() ? image : std::min(image, found_left.front().image);
    const auto objects = take(truth_left, image);
    const auto best = take(found_left, image);
    matcher.match(objects, best.first(std::min(best.size(), max_detections)), matches);
  }
  return matches;
}

void require_masks(const CocoSet& set) {
  if (set.truth.size() > std::numeric_limits<std::uint32_t>::max() ||
      set.detections.size() > std::numeric_limits<std::uint32_t>::max()) {
    throw std::invalid_argument("more than 4294967295 objects cannot be evaluated");
  }
  if (set.masks && (set.truth_masks.size() != set.truth.size() ||
                    set.detection_masks.size() != set.detections.size())) {
    throw std::invalid_argument("every truth and every detection needs a mask");
  }
}

}  // namespace

CocoFigures coco_metrics(const CocoSet& set, const CocoMetricOptions& options) {
  require_masks(set);
  const std::vector<std::int64_t> ids = distinct(set.categories);
  const Ranks images = ranks_of(distinct(set.images)), categories = ranks_of(ids);
  Buckets truth = bucket(set.truth, images, categories);
  Buckets found = bucket(set.detections, images, categories);
  CocoFigures figures;
  figures.categories.resize(ids.size());
  std::vector<CocoTotals> totals(ids.size());
  in_parallel(ids.size(), options.threads, [&](std::size_t c) {
    CategoryFigures& one = figures.categories[c];
    one.category = ids[c];
    const CategoryMatches matches =
        match_category(truth.of(c), found.of(c), set, options.max_detections);
    totals[c] = trace_category(matches, options.curves ? &one : nullptr);
    one.metrics = totals[c].figures(options.max_detections);
  });
  CocoTotals all;
  for (const CocoTotals& one : totals) {
    all += one;
  }
  figures.metrics = all.figures(options.max_detections);
  return figures;
}

}  // namespace batchscope::train
