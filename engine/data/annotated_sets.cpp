#include "engine/data/annotated_sets.h"

#include "engine/contract/error.h"
#include "engine/data/coco_dataset.h"
#include "engine/data/openimages_dataset.h"
#include "engine/data/panoptic_dataset.h"
#include "engine/data/semantic_dataset.h"
#include "engine/data/voc_dataset.h"

#include <algorithm>
#include <array>

namespace batchscope::train {
namespace {

using Data = contract::DataSection;
using Made = std::shared_ptr<PictureSet>;

void required(const std::string& value, const char* field, const std::string& kind) {
  if (value.empty()) {
    throw contract::SpecError(field,
                              std::string(field) + ": expected a path for " + kind + " data");
  }
}

const std::string& either(const std::string& first, const std::string& second) {
  return first.empty() ? second : first;
}

bool validates(const Data& data) {
  return !data.val_annotations.empty() || !data.val_list.empty();
}

PictureChoice choice_of(const Data& data) {
  return {data.max_pictures, data.skip_empty};
}

/// The files of the validation set in the places of the training set's.
Data validation_files(const Data& data) {
  Data files = data;
  files.annotations = either(data.val_annotations, data.annotations);
  files.images = either(data.val_images, data.images);
  files.segments = data.val_segments;
  files.list = data.val_list;
  files.max_pictures = 0;
  files.skip_empty = false;
  return files;
}

/// Without the files of the figure, which are the validation set's; where there is none they are
/// read here, so that what is wrong with them is said.
Data training_files(const Data& data) {
  Data files = data;
  if (validates(data)) {
    files.hierarchy.clear();
    files.val_image_labels.clear();
  }
  return files;
}

Made make_coco(const Data& data, const ClassList& classes) {
  return std::make_shared<CocoDataset>(CocoOptions{.annotations = data.annotations,
                                                   .images = data.images,
                                                   .max_pictures = data.max_pictures,
                                                   .skip_empty = data.skip_empty,
                                                   .masks = data.masks,
                                                   .classes = classes});
}
ClassList classes_of_coco(const Data& data) {
  return coco_classes(data.annotations);
}

VocOptions voc_options(const Data& data, const ClassList& classes) {
  return {data.annotations, data.images, data.list, classes};
}
Made make_voc(const Data& data, const ClassList& classes) {
  return std::make_shared<PictureSet>(read_voc(voc_options(data, classes)), choice_of(data));
}
ClassList classes_of_voc(const Data& data) {
  return voc_classes(voc_options(data, {}));
}

OpenImagesOptions openimages_options(const Data& data, const ClassList& classes) {
  return {data.annotations,
          data.images,
          data.list,
          data.classes,
          classes,
          data.hierarchy,
          data.val_image_labels};
}
Made make_openimages(const Data& data, const ClassList& classes) {
  return std::make_shared<OpenImagesDataset>(openimages_options(data, classes), choice_of(data));
}
ClassList classes_of_openimages(const Data& data) {
  return openimages_classes(openimages_options(data, {}));
}

Made make_panoptic(const Data& data, const ClassList& classes) {
  return std::make_shared<PanopticDataset>(PanopticOptions{data.annotations,
                                                           data.images,
                                                           data.segments,
                                                           classes,
                                                           data.masks,
                                                           data.max_pictures,
                                                           data.skip_empty});
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
  static constexpr std::array<Kind, 5> kKinds = {
      {{"coco", make_coco, classes_of_coco, true},
       {"voc", make_voc, classes_of_voc, false},
       {"openimages", make_openimages, classes_of_openimages, false},
       {"coco-panoptic", make_panoptic, classes_of_panoptic, true},
       {"ade20k", make_semantic, classes_of_semantic, false}}};
  const auto* found = std::find_if(
      kKinds.begin(), kKinds.end(), [&name](const Kind& kind) { return kind.name == name; });
  return found == kKinds.end() ? nullptr : found;
}

/// The kind of the data, which has all that they ask for.
const Kind& checked_kind(const Data& data) {
  const Kind& kind = *kind_of(data.kind);
  if (data.masks && !kind.masks) {
    throw contract::SpecError("data.masks",
                              "data.masks: " + data.kind + " data have no instance masks");
  }
  return kind;
}

/// The classes of the validation set; none: its own, which saves reading its files twice where they
/// are the training set's.
ClassList validation_classes(const Data& data, const Kind& kind, const Dataset* training) {
  if (training != nullptr) {
    return class_list(*training);
  }
  const bool same = data.annotations == data.val_annotations && data.list == data.val_list;
  return data.annotations.empty() || same ? ClassList{} : kind.classes(data);
}

}  // namespace

bool is_annotated_kind(const std::string& kind) {
  return kind_of(kind) != nullptr;
}

std::shared_ptr<const Dataset> make_annotated_training_set(const Data& data) {
  const Kind& kind = checked_kind(data);
  required(data.annotations, "data.annotations", data.kind);
  required(data.images, "data.images", data.kind);
  const Made set = kind.make(training_files(data), {});
  set->set_role("training set");
  return set;
}

std::shared_ptr<const Dataset> make_annotated_validation_set(const Data& data,
                                                             const Dataset* training) {
  const Kind& kind = checked_kind(data);
  if (!validates(data)) {
    return nullptr;
  }
  const Data files = validation_files(data);
  required(files.annotations, "data.val_annotations", data.kind);
  required(files.images, "data.val_images", data.kind);
  const Made set = kind.make(files, validation_classes(data, kind, training));
  set->set_role("validation set");
  return set;
}

}  // namespace batchscope::train
