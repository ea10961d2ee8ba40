#pragma once

#include <string>

namespace batchscope::train {

/// What this machine calls itself.
std::string host_name();

}  // namespace batchscope::train
