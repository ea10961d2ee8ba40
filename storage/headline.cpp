#include "storage/headline.h"

namespace batchscope::storage {

std::optional<Headline> headline(const std::map<std::string, double>& metrics) {
  // A panoptic run has all of them, one with masks AP and segm_AP, a semantic one mIoU alone. A
  // figure of COCO is -1 where there is nothing to measure.
  for (const char* name : {"PQ", "AP", "segm_AP", "mIoU"}) {
    const auto found = metrics.find(name);
    if (found != metrics.end() && found->second >= 0) {
      return Headline{name, found->second};
    }
  }
  return std::nullopt;
}

}  // namespace batchscope::storage
