#pragma once

#include "engine/contract/run_spec.h"
#include "engine/data/dataset.h"
#include "models/detector.h"
#include "models/weights/load_weights.h"

#include <memory>
#include <optional>
#include <string>

namespace batchscope::app {

/// Classes with boxes, and those that have pixels alone.
struct ClassCounts {
  std::int64_t things = 0, stuff = 0;
};
ClassCounts class_counts(const train::Dataset& dataset);

/// The detector of a spec, with the initial weights of its seed. Throws contract::SpecError, which
/// names the key, for a name or option that it does not have.
std::shared_ptr<models::Detector> build_model(const contract::RunSpec& spec, ClassCounts classes);

/// Copies what fits of a weight file or checkpoint, of its weights at `key` where that is not
/// empty, into the detector and says what. Throws contract::DataError for a file that cannot be
/// read or of which nothing fits.
models::LoadReport load_weights(models::Detector& model,
                                const std::string& file,
                                const std::string& key);

/// The detector that a run of this spec begins with: build_model(), then model.weights if the spec
/// names a file. Throws as both.
struct StartModel {
  std::shared_ptr<models::Detector> model;
  std::optional<models::LoadReport> loaded;
};
StartModel start_model(const contract::RunSpec& spec, ClassCounts classes);

/// "cpu", "cuda", or "auto" (cuda where this build and machine have one) as the device of one rank
/// of a machine. Throws contract::SpecError.
torch::Device device_of(const std::string& name, std::int64_t local_rank);
}  // namespace batchscope::app
