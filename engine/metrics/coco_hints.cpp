#include "engine/metrics/coco_files.h"

#include <map>
#include <set>

namespace batchscope::train {
namespace {

std::string pictures(std::size_t count, const char* one, const char* many) {
  return std::to_string(count) + (count == 1 ? one : many);
}

}  // namespace

std::vector<std::string> coco_hints(const CocoSet& set, std::size_t max_detections) {
  std::set<std::int64_t> without;
  std::map<std::pair<std::int64_t, std::int64_t>, std::size_t>
      objects;  // of a category in a picture
  for (const EvalTruth& truth : set.truth) {
    if (!truth.crowd) {
      without.insert(truth.image);
      ++objects[{truth.image, truth.category}];
    }
  }
  const std::size_t with_truth = without.size();
  for (const EvalDetection& detection : set.detections) {
    without.erase(detection.image);
  }
  std::vector<std::string> hints;
  if (!without.empty()) {
    hints.push_back(std::to_string(without.size()) + " of " +
                    pictures(with_truth, " picture", " pictures") + " with objects " +
                    (without.size() == 1 ? "has" : "have") + " no detection, the first of id " +
                    std::to_string(*without.begin()) + ": all in them counts as missed.");
  }
  std::set<std::int64_t> full;
  std::size_t most = 0;
  for (const auto& [place, count] : objects) {
    if (count > max_detections) {
      full.insert(place.first);
      most = std::max(most, count);
    }
  }
  if (!full.empty()) {
    hints.push_back(pictures(full.size(), " picture has", " pictures have") + " more than " +
                    std::to_string(max_detections) + " objects of a class (" +
                    std::to_string(most) +
                    "), and no more detections of it count: " + "--max-detections sets how many.");
  }
  return hints;
}

}  // namespace batchscope::train
