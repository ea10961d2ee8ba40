#pragma once

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
};
struct EvalDetection {
  std::int64_t image = 0, category = 0;
  double x = 0, y = 0, w = 0, h = 0, score = 0;
};

/// COCO's 12 box figures, equal to pycocotools' COCOeval(iouType="bbox") with its default
/// parameters to 1e-12: "AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs",
/// "ARm", "ARl". -1 where nothing can be measured. `images` and `categories` are the ids to
/// evaluate over. Detections of equal score keep their order (stable sort).
std::map<std::string, double> coco_box_metrics(const std::vector<std::int64_t>& images,
                                               const std::vector<std::int64_t>& categories,
                                               const std::vector<EvalTruth>& truth,
                                               const std::vector<EvalDetection>& detections);

}  // namespace batchscope::train
