#pragma once

#include "models/weights/tensor_file.h"

#include <string>
#include <utility>
#include <vector>

namespace batchscope::testing {

/// Writes tensors to a weight file, in the format that goes with its ending.
inline void write_weights(const std::filesystem::path& path,
                          const std::vector<std::pair<std::string, torch::Tensor>>& tensors) {
  std::vector<models::TensorSpec> specs;
  for (const auto& [name, tensor] : tensors) {
    specs.push_back({name, models::tensor_type(tensor.scalar_type()), tensor.sizes().vec()});
  }
  models::TensorFileWriter writer(path, models::format_of(path), specs, {});
  for (const auto& [name, tensor] : tensors) {
    writer.write(tensor);
  }
  writer.finish();
}

}  // namespace batchscope::testing
