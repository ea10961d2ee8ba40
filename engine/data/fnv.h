#pragma once

#include <cstddef>
#include <cstdint>

namespace batchscope::train {

/// FNV-1a, 64 bits, continued from `hash` (kFnvStart at the beginning).
inline constexpr std::uint64_t kFnvStart = 0xcbf29ce484222325ULL;
inline std::uint64_t fnv1a(const char* bytes, std::size_t count, std::uint64_t hash) {
  for (std::size_t i = 0; i < count; ++i) {
    hash = (hash ^ static_cast<std::uint8_t>(bytes[i])) * 0x100000001b3ULL;
  }
  return hash;
}

}  // namespace batchscope::train
