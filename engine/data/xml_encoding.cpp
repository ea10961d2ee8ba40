#include "engine/data/xml_encoding.h"

#include <cerrno>
#include <cstdint>
#include <iconv.h>

namespace batchscope::train {
namespace {

constexpr int kNone = -1, kTwoBytes = -2;

/// The character that the bytes are; kNone: they are none, kTwoBytes: more bytes are needed.
int character(iconv_t converter, const char* bytes, std::size_t count) {
  std::uint32_t code = 0;
  char* in = const_cast<char*>(bytes);  // iconv only reads it
  char* out = reinterpret_cast<char*>(&code);
  std::size_t left = count, room = sizeof code;
  ::iconv(converter, nullptr, nullptr, nullptr, nullptr);
  if (::iconv(converter, &in, &left, &out, &room) == static_cast<std::size_t>(-1)) {
    return errno == EINVAL ? kTwoBytes : kNone;
  }
  return left == 0 && room == 0 ? static_cast<int>(code) : kNone;
}

iconv_t converter_of(void* data) {
  return static_cast<iconv_t>(data);
}

}  // namespace

bool know_encoding(const char* name, XML_Encoding& encoding) {
  const iconv_t converter = ::iconv_open("UTF-32LE", name);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): how iconv says that it failed
  if (converter == reinterpret_cast<iconv_t>(-1)) {
    return false;
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char one = static_cast<char>(byte);
    encoding.map[byte] = character(converter, &one, 1);
  }
  encoding.data = converter;
  encoding.convert = [](void* data, const char* bytes) {
    const int code = character(converter_of(data), bytes, 2);
    return code < 0 ? kNone : code;
  };
  encoding.release = [](void* data) { ::iconv_close(converter_of(data)); };
  return true;
}

}  // namespace batchscope::train
