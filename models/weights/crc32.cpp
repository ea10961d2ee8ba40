#include "models/weights/crc32.h"

#include "models/weights/byte_source.h"

#include <array>

namespace batchscope::models {
namespace {

constexpr std::size_t kSlices = 8;  // bytes at a time
using Tables = std::array<std::array<std::uint32_t, 256>, kSlices>;

constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = value >> 1 ^ ((value & 1) != 0 ? 0xedb88320U : 0U);
    }
    tables[0][i] = value;
  }
  for (std::size_t slice = 1; slice < kSlices; ++slice) {
    for (std::size_t i = 0; i < 256; ++i) {
      const std::uint32_t before = tables[slice - 1][i];
      tables[slice][i] = before >> 8 ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

std::uint32_t crc32(const void* bytes, std::uint64_t count, std::uint32_t crc) {
  const auto* at = static_cast<const char*>(bytes);
  crc = ~crc;
  for (; count >= kSlices; count -= kSlices, at += kSlices) {
    const std::uint64_t word = little_endian<std::uint64_t>(at) ^ crc;
    crc = 0;
    for (std::size_t i = 0; i < kSlices; ++i) {
      crc ^= kTables[kSlices - 1 - i][word >> (8 * i) & 0xff];
    }
  }
  for (; count > 0; --count, ++at) {
    crc = crc >> 8 ^ kTables[0][(crc ^ static_cast<unsigned char>(*at)) & 0xff];
  }
  return ~crc;
}

}  // namespace batchscope::models
