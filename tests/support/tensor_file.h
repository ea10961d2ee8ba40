#pragma once

#include <torch/torch.h>

#include <map>
#include <string>

namespace batchscope::testing {

/// The tensors of a safetensors file (float32, float64, int64, uint8), by name. Throws
/// std::runtime_error naming the file when it cannot be read.
std::map<std::string, torch::Tensor> read_tensor_file(const std::string& path);

}  // namespace batchscope::testing
