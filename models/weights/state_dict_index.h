#pragma once

#include "models/weights/pickle_tensor.h"
#include "models/weights/state_dict_search.h"
#include "models/weights/weight_index.h"

#include <functional>

namespace batchscope::models {

/// Finds the state_dict below `root`, at `key` if that is not empty, and places its tensors:
/// `place` says where a storage lies, or throws. Throws WeightError when there is none, or a tensor
/// goes beyond its storage.
WeightIndex index_state_dict(const PickleTree& tree,
                             PickleRef root,
                             const std::string& key,
                             const std::function<WeightStorage(const PickledStorage&)>& place,
                             const std::string& origin);

}  // namespace batchscope::models
