#pragma once

#include "models/weights/weight_index.h"

#include <map>
#include <string>
#include <vector>

namespace batchscope::models {

// Files of named tensors as huggingface/safetensors defines them: 8 bytes header length, a JSON
// header, raw little-endian data.

/// index_weights() of such a file. The tensors must cover the data without gaps or overlaps. A
/// checkpoint of Batchscope counts as its model's tensors. Throws WeightError.
WeightIndex index_safetensors(const ByteSource& source);
/// The same with everything that a checkpoint holds.
WeightIndex index_all_safetensors(const ByteSource& source);

/// Name, type and shape of a tensor to be written.
struct TensorSpec {
  std::string name;
  TensorType type = TensorType::kF32;
  std::vector<std::int64_t> shape;
};

/// Everything of the file before the data, which follows in the order of `tensors` without gaps.
/// Throws std::invalid_argument for a name that stands twice.
std::string safetensors_header(const std::vector<TensorSpec>& tensors,
                               const std::map<std::string, std::string>& metadata);

}  // namespace batchscope::models
