#include "engine/data/annotated_sets.h"

#include "engine/contract/error.h"
#include "engine/data/openimages_dataset.h"
#include "engine/data/panoptic_dataset.h"
#include "engine/data/semantic_dataset.h"
#include "engine/data/voc_dataset.h"

#include <algorithm>
#include <array>

namespace batchscope::train {
namespace {

using Data = contract::DataSection;
using Made = std::shared_ptr<const Dataset>;

const std::string& required(const std::string& value, const char* field, const std::string& kind) {
  if (value.empty()) {
    throw contract::SpecError(field,
                              std::string(field) + ": expected a path for " + kind + " data");
  }
  return value;
}

const std::string& either(const std::string& first, const std::string& second) {
  return first.empty() ? second : first;
}

/// The files of the validation set in the places of the training set's.
Data validation_files(const Data& data) {
  Data files = data;
  files.annotations = either(data.val_annotations, data.annotations);
  files.images = either(data.val_images, data.images);
  files.segments = data.val_segments;
  files.list = data.val_list;
  files.max_pictures = 0;
  return files;
}

VocOptions voc_options(const Data& data, const ClassList& classes) {
  return {data.annotations, data.images, data.list, classes};
}
Made make_voc(const Data& data, const ClassList& classes) {
  return std::make_shared<PictureSet>(read_voc(voc_options(data, classes)), data.max_pictures);
}
ClassList classes_of_voc(const Data& data) {
  return voc_classes(voc_options(data, {}));
}

OpenImagesOptions openimages_options(const Data& data, const ClassList& classes) {
  return {data.annotations, data.images, data.list, data.classes, classes};
}
Made make_openimages(const Data& data, const ClassList& classes) {
  return std::make_shared<PictureSet>(read_openimages(openimages_options(data, classes)),
                                      data.max_pictures);
}
ClassList classes_of_openimages(const Data& data) {
  return openimages_classes(openimages_options(data, {}));
}

Made make_panoptic(const Data& data, const ClassList& classes) {
  return std::make_shared<PanopticDataset>(PanopticOptions{
      data.annotations, data.images, data.segments, classes, data.masks, data.max_pictures});
}
ClassList classes_of_panoptic(const Data& data) {
  return panoptic_classes(data.annotations);
}

SemanticSetOptions semantic_options(const Data& data, const ClassList& classes) {
  return {data.annotations,
          data.images,
          data.list,
          data.classes,
          static_cast<std::uint32_t>(data.ignored_label),
          classes,
          data.max_pictures};
}
Made make_semantic(const Data& data, const ClassList& classes) {
  return std::make_shared<SemanticDataset>(semantic_options(data, classes));
}
ClassList classes_of_semantic(const Data& data) {
  return semantic_classes(semantic_options(data, {}));
}

struct Kind {
  std::string_view name;
  Made (*make)(const Data&, const ClassList&);
  ClassList (*classes)(const Data&);
  bool masks;
};

const Kind* kind_of(const std::string& name) {
  static constexpr std::array<Kind, 4> kKinds = {
      {{"voc", make_voc, classes_of_voc, false},
       {"openimages", make_openimages, classes_of_openimages, false},
       {"coco-panoptic", make_panoptic, classes_of_panoptic, true},
       {"ade20k", make_semantic, classes_of_semantic, false}}};
  const auto* found = std::find_if(
      kKinds.begin(), kKinds.end(), [&name](const Kind& kind) { return kind.name == name; });
  return found == kKinds.end() ? nullptr : found;
}

}  // namespace

bool is_annotated_kind(const std::string& kind) {
  return kind_of(kind) != nullptr;
}

std::shared_ptr<const Dataset> make_annotated_set(const Data& data,
                                                  bool training,
                                                  const ClassList& classes) {
  const Kind& kind = *kind_of(data.kind);
  if (data.masks && !kind.masks) {
    throw contract::SpecError("data.masks",
                              "data.masks: " + data.kind + " data have no instance masks");
  }
  if (!training && data.val_annotations.empty() && data.val_list.empty()) {
    return nullptr;
  }
  const Data files = training ? data : validation_files(data);
  required(files.annotations, training ? "data.annotations" : "data.val_annotations", data.kind);
  required(files.images, training ? "data.images" : "data.val_images", data.kind);
  return kind.make(files, classes);
}

ClassList annotated_classes(const Data& data) {
  return kind_of(data.kind)->classes(data);
}

}  // namespace batchscope::train
