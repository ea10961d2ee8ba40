#pragma once

#include "models/weights/load_weights.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::app {

/// The model that a weight file is compared with.
struct FitModel {
  std::string name;                // as model.name
  std::int64_t num_classes = 3;    // things, without background
  std::int64_t stuff_classes = 1;  // of models that have any
  std::vector<std::string> sets;   // "model.norm=bn"; else frozen for files with norms
};

/// What a training of that model would take from the file. Throws contract::SpecError for a model
/// that cannot be, models::WeightError for a file of which nothing fits.
models::LoadReport fit_of_weights(const models::TensorFile& file, const FitModel& model);

/// The same as an object: "model", "complete", "summary", the names "matched", "missing" and
/// "unexpected", "wrong_shape" and "reinitialised" ({"name", "in_file", "in_model"}), "renamed"
/// ({"from", "to"}), "notes".
nlohmann::json fit_json(const models::LoadReport& report, const FitModel& model);

}  // namespace batchscope::app
