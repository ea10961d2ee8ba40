#include "engine/data/make_dataset.h"

#include "engine/contract/error.h"
#include "engine/data/annotated_sets.h"
#include "engine/data/synthetic_dataset.h"
#include "models/factory.h"

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

[[noreturn]] void unknown_kind(const std::string& kind) {
  throw contract::SpecError(
      "data.kind",
      "data.kind: expected a kind of data set (spec schema lists them), found \"" + kind + "\"");
}

std::shared_ptr<const Dataset> training_set(const contract::RunSpec& spec) {
  if (spec.data.kind == "synthetic-shapes") {
    return make_synthetic(spec, true);
  }
  if (!is_annotated_kind(spec.data.kind)) {
    unknown_kind(spec.data.kind);
  }
  return make_annotated_training_set(data_with_masks(spec));
}

std::shared_ptr<const Dataset> validation_set(const contract::RunSpec& spec,
                                              const Dataset* training) {
  if (spec.data.kind == "synthetic-shapes") {
    return spec.data.val_pictures > 0 ? make_synthetic(spec, false) : nullptr;
  }
  if (!is_annotated_kind(spec.data.kind)) {
    unknown_kind(spec.data.kind);
  }
  return make_annotated_validation_set(data_with_masks(spec), training);
}

}  // namespace

std::shared_ptr<const Dataset> make_training_set(const contract::RunSpec& spec) {
  return checked(spec, training_set(spec));
}

std::shared_ptr<const Dataset> make_validation_set(const contract::RunSpec& spec,
                                                   const std::shared_ptr<const Dataset>& training) {
  return checked(spec, validation_set(spec, training.get()));
}

}  // namespace batchscope::train
