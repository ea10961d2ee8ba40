#include "engine/metrics/coco_match.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace batchscope::train {
namespace {

/// numpy.linspace(0.5, 0.95, 10): start + i · step, as it is rounded there.
std::array<double, kThresholds> iou_thresholds() {
  std::array<double, kThresholds> t{};
  const double step = (0.95 - 0.5) / 9;
  for (std::size_t i = 0; i + 1 < kThresholds; ++i) {
    t[i] = static_cast<double>(i) * step + 0.5;
  }
  t.back() = 0.95;
  return t;
}

/// bbIou of pycocotools' maskApi.c: union of a crowd is the detection alone.
double overlap(const EvalDetection& d, const EvalTruth& t) {
  const double w = std::fmin(d.w + d.x, t.w + t.x) - std::fmax(d.x, t.x);
  if (w <= 0) {
    return 0;
  }
  const double h = std::fmin(d.h + d.y, t.h + t.y) - std::fmax(d.y, t.y);
  if (h <= 0) {
    return 0;
  }
  const double both = w * h, area = d.w * d.h;
  return both / (t.crowd ? area : area + t.w * t.h - both);
}

bool outside(double area, const std::array<double, 2>& range) {
  return area < range[0] || area > range[1];
}

}  // namespace

double sort_score(const EvalDetection& detection) {
  return std::isnan(detection.score) ? -std::numeric_limits<double>::infinity() : detection.score;
}

Matcher::Matcher() : thresholds_(iou_thresholds()) {}

void Matcher::match(const Cell& cell, Category& category) {
  const std::size_t start = category.scores.size();
  category.cells.push_back({start, cell.detections.size()});
  ious_.clear();
  for (const auto& placed : cell.detections) {
    const EvalDetection* detection = placed.entry;
    category.scores.push_back(sort_score(*detection));
    for (const auto& truth : cell.truth) {
      ious_.push_back(overlap(*detection, *truth.entry));
    }
  }
  for (std::size_t area = 0; area < kAreas; ++area) {
    match_area(cell, kAreaRange[area], category.verdict[area], category.positives[area]);
  }
}

void Matcher::match_area(const Cell& cell,
                         const std::array<double, 2>& range,
                         std::array<std::vector<std::uint8_t>, kThresholds>& verdict,
                         std::size_t& positives) {
  const std::size_t truths = cell.truth.size();
  order_.resize(truths);
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  const auto ignored = [&cell, &range](std::size_t t) {
    return cell.truth[t].entry->crowd || outside(cell.truth[t].entry->area, range);
  };
  // Truths that count first: the search stops at the first ignored one once it has a match.
  counted_ = static_cast<std::size_t>(
      std::stable_partition(
          order_.begin(), order_.end(), [&ignored](std::size_t t) { return !ignored(t); }) -
      order_.begin());
  positives += counted_;
  for (std::size_t k = 0; k < kThresholds; ++k) {
    taken_.assign(truths, false);
    for (std::size_t d = 0; d < cell.detections.size(); ++d) {
      const EvalDetection& detection = *cell.detections[d].entry;
      const std::size_t found = best_truth(cell, d, thresholds_[k]);
      if (found < truths) {
        taken_[found] = true;
        verdict[k].push_back(found < counted_ ? 1 : 2);
      } else {
        verdict[k].push_back(outside(detection.w * detection.h, range) ? 2 : 0);
      }
    }
  }
}

std::size_t Matcher::best_truth(const Cell& cell, std::size_t d, double threshold) const {
  const std::size_t truths = cell.truth.size();
  const double* ious = ious_.data() + d * truths;
  double best = std::min(threshold, 1 - 1e-10);
  std::size_t found = truths;
  for (std::size_t g = 0; g < truths; ++g) {
    const std::size_t t = order_[g];
    if (taken_[g] && !cell.truth[t].entry->crowd) {
      continue;
    }
    if (found < counted_ && g >= counted_) {
      break;
    }
    if (ious[t] < best) {
      continue;
    }
    best = ious[t];
    found = g;
  }
  return found;
}

}  // namespace batchscope::train
