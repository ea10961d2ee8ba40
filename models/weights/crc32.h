#pragma once

#include <cstdint>

namespace batchscope::models {

/// The CRC-32 of zip files (polynomial 0xEDB88320), going on from `crc` (0 at the start).
std::uint32_t crc32(const void* bytes, std::uint64_t count, std::uint32_t crc = 0);

}  // namespace batchscope::models
