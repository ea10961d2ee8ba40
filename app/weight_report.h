#pragma once

#include "models/weights/tensor_file.h"

#include <nlohmann/json.hpp>

#include <string>

namespace batchscope::app {

/// What `weights inspect` prints of a file: format, where its state_dict is, what else it holds,
/// and a line per tensor.
std::string inspect_text(const models::TensorFile& file);
/// The same as an object: "file", "format", "state_dict", "tensors" ({"name", "dtype", "shape",
/// "current_name" where torchvision has another name today}), "elements", "bytes", "others",
/// "other_sets", "skipped", "metadata".
nlohmann::json inspect_json(const models::TensorFile& file);

}  // namespace batchscope::app
