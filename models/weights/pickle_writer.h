#pragma once

#include "models/weights/safetensors_header.h"

#include <string>
#include <utility>
#include <vector>

namespace batchscope::models {

/// The pickle of a state_dict, byte for byte as Python's torch.save writes it (protocol 2): an
/// OrderedDict of contiguous tensors, each with a storage of its own numbered from "0", and, unless
/// `versions` is empty, its `_metadata`. Nothing in it is outside of what torch.load allows with
/// weights_only=True. Throws std::invalid_argument for a name that stands twice.
/// Source: the bytes that torch 2.11 writes (tests/fixtures/models/weights).
std::string state_dict_pickle(const std::vector<TensorSpec>& tensors,
                              const std::vector<std::pair<std::string, std::int64_t>>& versions);

}  // namespace batchscope::models
