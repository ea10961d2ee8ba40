#include "models/factory.h"

#include "models/builder_changes.h"
#include "models/builders.h"
#include "models/lab_faster_rcnn.h"

#include <stdexcept>

namespace batchscope::models {
namespace {

using Options = const ModelOptions&;
using Built = std::shared_ptr<Detector>;

struct Entry {
  const char* name;
  ModelKind kind;
  Built (*build)(Options);
  TargetNeeds needs = {};
};

constexpr TargetNeeds kMasks{.masks = true};
constexpr TargetNeeds kPixels{.boxes = false, .semantic = true};
constexpr TargetNeeds kAll{.masks = true, .semantic = true};

template <HeadVersion version, bool masks>
Built two_stage(Options options) {
  return std::make_shared<FasterRcnn>(faster_rcnn_options(options, version, masks));
}

template <HeadVersion version>
Built one_stage(Options options) {
  return std::make_shared<RetinaNet>(retinanet_options(options, version));
}

using enum ModelKind;
constexpr auto kV1 = HeadVersion::kV1, kV2 = HeadVersion::kV2;

constexpr Entry kModels[] = {
    {"lab_faster_rcnn",
     kLab,
     [](Options o) -> Built { return std::make_shared<LabFasterRcnn>(o); }},
    {"tiny_faster_rcnn",
     kTwoStages,
     [](Options o) -> Built { return std::make_shared<FasterRcnn>(tiny_faster_rcnn_options(o)); }},
    {"tiny_mask_rcnn",
     kTwoStages,
     [](Options o) -> Built { return std::make_shared<FasterRcnn>(tiny_mask_rcnn_options(o)); },
     kMasks},
    {"tiny_retinanet",
     kOneStage,
     [](Options o) -> Built { return std::make_shared<RetinaNet>(tiny_retinanet_options(o)); }},
    {"tiny_semantic_fpn",
     kSemantic,
     [](Options o) -> Built { return std::make_shared<SemanticFpn>(tiny_semantic_fpn_options(o)); },
     kPixels},
    {"tiny_panoptic_fpn",
     kTwoStages,
     [](Options o) -> Built { return std::make_shared<PanopticFpn>(tiny_panoptic_fpn_options(o)); },
     kAll},
    {"fasterrcnn_resnet50_fpn", kTwoStages, two_stage<kV1, false>},
    {"fasterrcnn_resnet50_fpn_v2", kTwoStages, two_stage<kV2, false>},
    {"maskrcnn_resnet50_fpn", kTwoStages, two_stage<kV1, true>, kMasks},
    {"maskrcnn_resnet50_fpn_v2", kTwoStages, two_stage<kV2, true>, kMasks},
    {"retinanet_resnet50_fpn", kOneStage, one_stage<kV1>},
    {"retinanet_resnet50_fpn_v2", kOneStage, one_stage<kV2>},
    {"semantic_fpn_resnet50",
     kSemantic,
     [](Options o) -> Built { return std::make_shared<SemanticFpn>(semantic_fpn_options(o)); },
     kPixels},
    {"panoptic_fpn_resnet50",
     kTwoStages,
     [](Options o) -> Built { return std::make_shared<PanopticFpn>(panoptic_fpn_options(o)); },
     kAll}};

}  // namespace

std::shared_ptr<Detector> make_detector(const ModelOptions& options) {
  std::string known;
  for (const Entry& entry : kModels) {
    if (options.name == entry.name) {
      check_changes(options, entry.kind, entry.needs);
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

TargetNeeds target_needs(const std::string& name) {
  for (const Entry& entry : kModels) {
    if (name == entry.name) {
      return entry.needs;
    }
  }
  return {};
}

}  // namespace batchscope::models
