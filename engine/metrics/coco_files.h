#pragma once

#include "engine/metrics/coco_metrics.h"

#include <string>
#include <unordered_map>
#include <vector>

namespace batchscope::train {

/// COCO truth as read from a file: what is evaluated, and how it is called.
struct CocoInput {
  CocoSet set;
  std::unordered_map<std::int64_t, std::string> names;  // of categories
  std::unordered_map<std::int64_t, std::array<std::uint32_t, 2>>
      sizes;  // height, width; 0: not said
  std::vector<std::string> warnings;
};

/// Reads the truth of a COCO instance file, with masks if asked. Needed: images' id, annotations'
/// image_id, category_id and bbox (segmentation for masks: polygons or run lengths), categories'
/// id. An annotation without area has that of its mask or box; without iscrowd it is none. Memory:
/// what is evaluated, not the file. Throws contract::DataError naming the file, the entry, the
/// field and the place: unreadable, not JSON, a list or a field missing or of another type, two
/// annotations of one id, a mask that cannot be or is not of its picture's size.
CocoInput read_coco_truth(const std::string& path, bool masks);

/// Adds the detections of a COCO results file. As in pycocotools' loadRes the first entry decides:
/// with a bbox, all need one, areas are w · h, and who has no segmentation has his box as mask;
/// else all need a segmentation, areas are those of the masks, and boxes, where there are none,
/// too. Throws contract::DataError as read_coco_truth, also for a picture that the truth does not
/// have. Warnings: detections of unknown categories, which are left out; areas of boxes under
/// masks.
void read_coco_results(const std::string& path, const std::string& truth_path, CocoInput& input);

/// What makes figures lower than the model is: pictures with truth and no detection, and more than
/// max_detections objects of a category in one picture. Sentences, mostly none.
std::vector<std::string> coco_hints(const CocoSet& set, std::size_t max_detections);

}  // namespace batchscope::train
