#pragma once

#include "engine/metrics/rle.h"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace batchscope::train {

/// COCO ground truth and results, boxes as x y w h in pixels. No torch: numbers only.
struct EvalTruth {
  std::int64_t image = 0, category = 0;
  double x = 0, y = 0, w = 0, h = 0, area = 0;
  bool crowd = false;
  bool unmatched = false;  // annotation id 0: COCO's evaluator takes its match for none
};
struct EvalDetection {
  std::int64_t image = 0, category = 0;
  double x = 0, y = 0, w = 0, h = 0, score = 0;
  double area = -1;  // negative: w · h
};

/// What is evaluated. With masks, one for each entry, overlaps are those of the masks and the boxes
/// are not used (areas are: give those of the masks).
struct CocoSet {
  std::vector<std::int64_t> images, categories;  // the ids to evaluate over
  std::vector<EvalTruth> truth;
  std::vector<EvalDetection> detections;
  bool masks = false;
  std::vector<Rle> truth_masks, detection_masks;
};

inline constexpr std::size_t kThresholds = 10, kAreas = 4, kCuts = 3, kRecalls = 101;

/// Figures of one category; -1 where nothing can be measured.
struct CategoryFigures {
  std::int64_t category = 0;
  std::map<std::string, double> metrics;  // the names of coco_metrics
  /// All areas, 100 detections: precision at recall r/100, and the score that reaches it (0 where
  /// none does), per overlap 0.50, 0.55, … 0.95. Only on request; empty without truth.
  std::vector<std::array<double, kRecalls>> precision, score;
};

struct CocoFigures {
  std::map<std::string, double> metrics;
  std::vector<CategoryFigures> categories;  // by rising id
};

struct CocoMetricOptions {
  unsigned threads = 1;  // the figures do not depend on it
  bool curves = false;
  std::size_t max_detections = 100;  // of a category in a picture that count, the best ones
};

/// COCO's 12 figures, equal to pycocotools' COCOeval (iouType "bbox" or "segm") with its default
/// parameters to 1e-12: "AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs",
/// "ARm", "ARl". -1 where nothing can be measured. Detections of equal score keep their order
/// (stable sort). Entries of other pictures and categories are left out.
/// With other max_detections, N, the figures are those of maxDets [1, 10, N], and "AR100" is "ARN".
/// Throws std::invalid_argument when masks are missing or their sizes differ within a picture.
CocoFigures coco_metrics(const CocoSet& set, const CocoMetricOptions& options = {});

}  // namespace batchscope::train
