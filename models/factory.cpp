#include "models/detector.h"
#include "models/faster_rcnn.h"
#include "models/lab_faster_rcnn.h"

#include <stdexcept>

namespace batchscope::models {
namespace {

struct Entry {
  const char* name;
  std::shared_ptr<Detector> (*build)(const ModelOptions&);
};

std::shared_ptr<Detector> make_lab_faster_rcnn(const ModelOptions& options) {
  return std::make_shared<LabFasterRcnn>(options);
}

constexpr Entry kModels[] = {{"lab_faster_rcnn", make_lab_faster_rcnn},
                             {"tiny_faster_rcnn", make_tiny_faster_rcnn}};

}  // namespace

std::shared_ptr<Detector> make_detector(const ModelOptions& options) {
  std::string known;
  for (const Entry& entry : kModels) {
    if (options.name == entry.name) {
      return entry.build(options);
    }
    known += std::string(known.empty() ? "" : ", ") + entry.name;
  }
  throw std::invalid_argument("model.name: expected one of " + known + ", found \"" + options.name +
                              "\"");
}

std::vector<std::string> detector_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kModels) {
    names.emplace_back(entry.name);
  }
  return names;
}

}  // namespace batchscope::models
