#include "engine/data/make_dataset.h"

#include "engine/contract/error.h"
#include "engine/data/annotated_sets.h"
#include "engine/data/coco_dataset.h"
#include "engine/data/synthetic_dataset.h"
#include "models/detector.h"

#include <algorithm>

namespace batchscope::train {
namespace {

/// What the model of the spec needs; data.masks asks for masks in any case.
models::TargetNeeds needs_of(const contract::RunSpec& spec) {
  models::TargetNeeds needs = models::target_needs(spec.model.name);
  needs.masks = needs.masks || spec.data.masks;
  return needs;
}

std::shared_ptr<const Dataset> make_synthetic(const contract::RunSpec& spec, bool training) {
  const contract::DataSection& data = spec.data;
  SyntheticOptions options;
  options.size = data.size;
  options.pictures = training ? data.train_pictures : data.val_pictures;
  if (training && data.max_pictures > 0) {
    options.pictures = std::min(options.pictures, data.max_pictures);
  }
  options.max_objects = data.max_objects;
  options.min_object = data.min_object;
  options.max_object = data.max_object;
  options.noise = data.noise;
  const models::TargetNeeds needs = needs_of(spec);
  options.masks = needs.masks;
  options.semantic = needs.semantic;
  options.seed = static_cast<std::uint64_t>(spec.data.seed);
  options.split = training ? 0 : 1;
  return std::make_shared<SyntheticDataset>(options);
}

/// The folder or file of a key that has to be given.
const std::string& given(const std::string& value, const char* field) {
  if (value.empty()) {
    throw contract::SpecError(field, std::string(field) + ": expected a path for coco data");
  }
  return value;
}

/// Refuses a set that lacks what the model learns from.
std::shared_ptr<const Dataset> checked(const contract::RunSpec& spec,
                                       std::shared_ptr<const Dataset> set) {
  if (!set) {
    return set;
  }
  const models::TargetNeeds needs = needs_of(spec);
  const char* missing = needs.boxes && set->things() == 0           ? "boxes"
                        : needs.masks && !set->truth_masks(0)       ? "a mask for every object"
                        : needs.semantic && !set->semantic_truth(0) ? "a class for every pixel"
                                                                    : nullptr;
  if (missing != nullptr) {
    throw contract::SpecError("data.kind",
                              "data.kind: " + spec.model.name + " needs " + missing + ", which " +
                                  spec.data.kind + " data does not have");
  }
  return set;
}

contract::DataSection data_with_masks(const contract::RunSpec& spec) {
  contract::DataSection data = spec.data;
  data.masks = needs_of(spec).masks;
  return data;
}

std::shared_ptr<const Dataset> make_annotated_validation_set(
    const contract::DataSection& data, const std::shared_ptr<const Dataset>& training) {
  ClassList classes;
  if (training) {
    classes = class_list(*training);
  } else if (!data.annotations.empty()) {
    classes = annotated_classes(data);
  }
  return make_annotated_set(data, false, classes);
}

std::vector<CocoCategory> categories_of(const Dataset& dataset) {
  std::vector<CocoCategory> categories;
  for (std::size_t i = 0; i < dataset.classes().size(); ++i) {
    const auto label = static_cast<std::int64_t>(i) + 1;
    categories.push_back({dataset.category_id(label), dataset.classes()[i]});
  }
  return categories;
}

[[noreturn]] void unknown_kind(const std::string& kind) {
  throw contract::SpecError(
      "data.kind",
      "data.kind: expected a kind of data set (spec schema lists them), found \"" + kind + "\"");
}

std::shared_ptr<const Dataset> training_set(const contract::RunSpec& spec) {
  const contract::DataSection& data = spec.data;
  if (data.kind == "synthetic-shapes") {
    return make_synthetic(spec, true);
  }
  if (is_annotated_kind(data.kind)) {
    return make_annotated_set(data_with_masks(spec), true, {});
  }
  if (data.kind != "coco") {
    unknown_kind(data.kind);
  }
  CocoOptions options;
  options.annotations = given(data.annotations, "data.annotations");
  options.images = given(data.images, "data.images");
  options.max_pictures = data.max_pictures;
  options.masks = needs_of(spec).masks;
  return std::make_shared<CocoDataset>(options);
}

std::shared_ptr<const Dataset> validation_set(const contract::RunSpec& spec,
                                              const std::shared_ptr<const Dataset>& training) {
  const contract::DataSection& data = spec.data;
  if (data.kind == "synthetic-shapes") {
    return data.val_pictures > 0 ? make_synthetic(spec, false) : nullptr;
  }
  if (is_annotated_kind(data.kind)) {
    return make_annotated_validation_set(data_with_masks(spec), training);
  }
  if (data.kind != "coco") {
    unknown_kind(data.kind);
  }
  if (data.val_annotations.empty()) {
    return nullptr;
  }
  CocoOptions options;
  options.annotations = data.val_annotations;
  options.images =
      data.val_images.empty() ? given(data.images, "data.val_images") : data.val_images;
  options.masks = needs_of(spec).masks;
  if (training) {
    options.categories = categories_of(*training);
  } else if (!data.annotations.empty() && data.annotations != data.val_annotations) {
    options.categories = read_coco_annotations(data.annotations).categories;
  }
  return std::make_shared<CocoDataset>(options);
}

}  // namespace

std::shared_ptr<const Dataset> make_training_set(const contract::RunSpec& spec) {
  return checked(spec, training_set(spec));
}

std::shared_ptr<const Dataset> make_validation_set(const contract::RunSpec& spec,
                                                   const std::shared_ptr<const Dataset>& training) {
  return checked(spec, validation_set(spec, training));
}

}  // namespace batchscope::train
