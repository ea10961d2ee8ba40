#include "engine/metrics/coco_match.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

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

bool boxes_meet(const std::array<double, 4>& a, const std::array<double, 4>& b) {
  return a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3];
}

bool outside(double area, const std::array<double, 2>& range) {
  return area < range[0] || area > range[1];
}

double area_of(const EvalDetection& d) {
  return d.area < 0 ? d.w * d.h : d.area;
}

}  // namespace

Matcher::Matcher(const CocoSet& set) : set_(set), thresholds_(iou_thresholds()) {}

void Matcher::match(std::span<const Placed> truth,
                    std::span<const Placed> detections,
                    CategoryMatches& matches) {
  truths_ = truth;
  found_ = detections;
  const std::size_t start = matches.verdicts.size();
  matches.verdicts.resize(start + found_.size());
  for (const Placed& d : found_) {
    matches.scores.push_back(d.score);
  }
  if (!truths_.empty()) {
    set_.masks ? fill_mask_overlaps() : fill_overlaps();
  }
  for (std::size_t area = 0; area < kAreas; ++area) {
    match_area(area, matches);
  }
}

void Matcher::fill_overlaps() {
  overlaps_.clear();
  for (std::size_t d = 0; d < found_.size(); ++d) {
    for (std::size_t t = 0; t < truths_.size(); ++t) {
      overlaps_.push_back(overlap(detection(d), truth(t)));
    }
  }
}

void Matcher::fill_mask_overlaps() {
  boxes_.clear();
  for (const Placed& t : truths_) {
    boxes_.push_back(rle_box(set_.truth_masks[t.entry]));
  }
  overlaps_.clear();
  for (const Placed& d : found_) {
    const Rle& mask = set_.detection_masks[d.entry];
    const std::array<double, 4> box = rle_box(mask);
    for (std::size_t t = 0; t < truths_.size(); ++t) {
      const Rle& other = set_.truth_masks[truths_[t].entry];
      if (mask.height != other.height || mask.width != other.width) {
        throw std::invalid_argument("masks of one picture have different sizes");
      }
      overlaps_.push_back(boxes_meet(box, boxes_[t]) ? rle_iou(mask, other, truth(t).crowd) : 0);
    }
  }
}

void Matcher::match_area(std::size_t area, CategoryMatches& matches) {
  const std::array<double, 2>& range = kAreaRange[area];
  const std::size_t truths = truths_.size(), start = matches.verdicts.size() - found_.size();
  order_.resize(truths);
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  // Truths that count first: the search stops at the first ignored one once it has a match.
  const auto first_ignored =
      std::stable_partition(order_.begin(), order_.end(), [this, &range](std::size_t t) {
        return !truth(t).crowd && !outside(truth(t).area, range);
      });
  counted_ = static_cast<std::size_t>(first_ignored - order_.begin());
  matches.positives[area] += counted_;
  for (std::size_t d = 0; d < found_.size(); ++d) {
    const bool out = outside(area_of(detection(d)), range);
    matches.verdicts[start + d].ignored[area] = out ? kAllThresholds : 0;
  }
  for (std::size_t k = 0; truths > 0 && k < kThresholds; ++k) {
    const auto bit = static_cast<std::uint16_t>(1U << k);
    taken_.assign(truths, 0);
    for (std::size_t d = 0; d < found_.size(); ++d) {
      const std::size_t found = best_truth(d, thresholds_[k]);
      if (found == truths) {
        continue;
      }
      taken_[found] = 1;
      Verdict& verdict = matches.verdicts[start + d];
      if (found >= counted_) {
        verdict.ignored[area] |= bit;
      } else if (!truth(order_[found]).unmatched) {
        verdict.ignored[area] &= static_cast<std::uint16_t>(~bit);
        verdict.hit[area] |= bit;
        for (std::size_t cut = 0; area == 0 && cut < kCuts; ++cut) {
          matches.hits[cut][k] += cut == kFirstCuts.size() || d < kFirstCuts[cut] ? 1 : 0;
        }
      }
    }
  }
}

std::size_t Matcher::best_truth(std::size_t d, double threshold) const {
  const std::size_t truths = truths_.size();
  const double* overlaps = overlaps_.data() + d * truths;
  double best = std::min(threshold, 1 - 1e-10);
  std::size_t found = truths;
  for (std::size_t g = 0; g < truths; ++g) {
    const std::size_t t = order_[g];
    if (taken_[g] != 0 && !truth(t).crowd) {
      continue;
    }
    if (found < counted_ && g >= counted_) {
      break;
    }
    if (overlaps[t] < best) {
      continue;
    }
    best = overlaps[t];
    found = g;
  }
  return found;
}

}  // namespace batchscope::train
