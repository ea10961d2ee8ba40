#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace batchscope::train {

/// What a file that is no picture for us is, by its first bytes: "is a WebP picture; expected a
/// JPEG or PNG file", or "is neither a JPEG nor a PNG file" where they do not tell.
std::string other_format(std::span<const std::uint8_t> begin);

}  // namespace batchscope::train
