#pragma once

#include "models/weights/tensor_file.h"

#include <filesystem>
#include <string>

namespace batchscope::models {

struct ConvertOptions {
  bool keep_names = false;  // instead of current_names()
};

struct ConvertReport {
  std::size_t tensors = 0, renamed = 0;
  std::uint64_t bytes = 0;  // of the tensors
};

/// Writes the state_dict of `in` to `out`, in the format that goes with its ending, tensor by
/// tensor and in the same types; views become tensors of their own. Metadata of safetensors and
/// versions of Python's modules (unless names change) go along. Throws WeightError for a file that
/// cannot be read, std::invalid_argument for an ending that is not known, DiskError.
ConvertReport convert_weights(const TensorFile& in,
                              const std::filesystem::path& out,
                              const ConvertOptions& options);

}  // namespace batchscope::models
