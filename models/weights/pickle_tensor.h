#pragma once

#include "models/weights/pickle_tree.h"
#include "models/weights/tensor_type.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::models {

/// A storage as a pickle names it.
struct PickledStorage {
  std::string key;
  TensorType type = TensorType::kU8;  // of what `elements` counts
  std::uint64_t elements = 0;
  std::uint64_t view_first = 0;  // legacy files name parts of storages; in elements
};

/// A tensor as a pickle describes it: numbers from the file, not yet compared with its storage.
struct PickledTensor {
  PickledStorage storage;
  TensorType type = TensorType::kF32;
  std::vector<std::int64_t> shape, strides;
  std::int64_t first = 0;  // in elements of `type`
};

/// True when the node is a call that builds a tensor (or a Parameter around one).
bool is_tensor(const PickleTree& tree, PickleRef ref);

/// The tensor at a node for which is_tensor(). `name` is for messages. Throws WeightError when its
/// description is malformed or of a kind that weights do not have (sparse, quantized, meta).
PickledTensor tensor_at(const PickleTree& tree,
                        PickleRef ref,
                        const std::string& name,
                        const std::string& origin);

/// The storage of a persistent id; nullopt when it is none.
std::optional<PickledStorage> storage_at(const PickleTree& tree, PickleRef ref);

}  // namespace batchscope::models
