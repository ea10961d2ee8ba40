#include "engine/data/annotated_sets.h"

#include "engine/contract/error.h"
#include "engine/data/voc_dataset.h"

namespace batchscope::train {
namespace {

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
contract::DataSection validation_files(const contract::DataSection& data) {
  contract::DataSection files = data;
  files.annotations = either(data.val_annotations, data.annotations);
  files.images = either(data.val_images, data.images);
  files.list = data.val_list;
  files.max_pictures = 0;
  return files;
}

VocOptions voc_options(const contract::DataSection& data, const ClassList& classes) {
  return {data.annotations, data.images, data.list, classes};
}

}  // namespace

bool is_annotated_kind(const std::string& kind) {
  return kind == "voc";
}

std::shared_ptr<const Dataset> make_annotated_set(const contract::DataSection& data,
                                                  bool training,
                                                  const ClassList& classes) {
  if (!training && data.val_annotations.empty() && data.val_list.empty()) {
    return nullptr;
  }
  const contract::DataSection files = training ? data : validation_files(data);
  required(files.annotations, training ? "data.annotations" : "data.val_annotations", data.kind);
  required(files.images, training ? "data.images" : "data.val_images", data.kind);
  return std::make_shared<PictureSet>(read_voc(voc_options(files, classes)), files.max_pictures);
}

ClassList annotated_classes(const contract::DataSection& data) {
  return voc_classes(voc_options(data, {}));
}

}  // namespace batchscope::train
