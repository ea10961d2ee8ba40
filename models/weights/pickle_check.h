#pragma once

#include "models/weights/pickle_tree.h"

namespace batchscope::models {

/// What is wrong with the containers below `root`, or nothing: "a container that contains itself",
/// or more than `depth` inside one another. Opaque objects are not looked into. No recursion.
std::string container_fault(const PickleTree& tree, PickleRef root, std::size_t depth);

/// True for valid UTF-8 without surrogates.
bool is_utf8(const std::string& text);

}  // namespace batchscope::models
