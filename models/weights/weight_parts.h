#pragma once

#include "models/weights/weight_index.h"

#include <filesystem>
#include <memory>
#include <string>

namespace batchscope::models {

/// Weights with the bytes that their storages lie in.
struct OpenedWeights {
  std::unique_ptr<ByteSource> source;
  WeightIndex index;
};

/// index_weights() of a file; of the index of a file in parts (model.safetensors.index.json), the
/// parts beside it as if they were one. Throws WeightError, also for a part that is absent, lies
/// elsewhere or lacks a tensor of the index.
OpenedWeights open_weights(const std::filesystem::path& path, const std::string& key = {});

/// Of a path such as "a-00001-of-00002.safetensors": "It is part 1 of 2: the others' tensors are
/// not in it."; else empty.
std::string lone_part(const std::string& path);

}  // namespace batchscope::models
