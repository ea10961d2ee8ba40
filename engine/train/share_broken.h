#pragma once

#include "engine/data/broken_pictures.h"
#include "engine/distributed/group.h"

#include <string>
#include <vector>

namespace batchscope::train {

/// Tells all ranks of the pictures that each has found broken: the warnings of
/// BrokenPictures::agree(), on every rank. Called by all ranks together.
std::vector<std::string> share_broken(BrokenPictures& pictures, Group& group);

}  // namespace batchscope::train
