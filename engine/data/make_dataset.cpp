#include "engine/data/make_dataset.h"

#include "engine/contract/error.h"
#include "engine/data/synthetic_dataset.h"

#include <algorithm>

namespace batchscope::train {
namespace {

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
  options.masks = data.masks;
  options.seed = static_cast<std::uint64_t>(spec.run.seed);
  options.split = training ? 0 : 1;
  return std::make_shared<SyntheticDataset>(options);
}

[[noreturn]] void unknown_kind(const std::string& kind) {
  throw contract::SpecError("data.kind",
                            "data.kind: expected synthetic-shapes or coco, found \"" + kind + "\"");
}

}  // namespace

std::shared_ptr<const Dataset> make_training_set(const contract::RunSpec& spec) {
  if (spec.data.kind == "synthetic-shapes") {
    return make_synthetic(spec, true);
  }
  unknown_kind(spec.data.kind);
}

std::shared_ptr<const Dataset> make_validation_set(const contract::RunSpec& spec) {
  if (spec.data.kind == "synthetic-shapes") {
    return spec.data.val_pictures > 0 ? make_synthetic(spec, false) : nullptr;
  }
  unknown_kind(spec.data.kind);
}

}  // namespace batchscope::train
