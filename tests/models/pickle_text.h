#pragma once

#include <cstdint>
#include <string>
#include <vector>

// Pickles by hand, as no honest program writes them.
namespace batchscope::testing {

inline std::string little(std::uint64_t value, std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<char>(value >> (8 * i) & 0xff);
  }
  return bytes;
}

inline std::string pickle_text(const std::string& text) {
  return "X" + little(text.size(), 4) + text;
}

inline std::string pickle_int(std::int64_t value) {
  return std::string("\x8a\x08") + little(static_cast<std::uint64_t>(value), 8);
}

inline std::string pickle_ints(const std::vector<std::int64_t>& values) {
  std::string bytes = "(";
  for (const std::int64_t value : values) {
    bytes += pickle_int(value);
  }
  return bytes + "t";
}

/// What a tensor of a test's pickle says about itself.
struct PickleTensor {
  std::string key = "0", storage = "FloatStorage";
  std::int64_t elements = 6, first = 0;
  std::vector<std::int64_t> shape = {2, 3}, strides = {3, 1};
};

inline std::string pickle_tensor(const PickleTensor& tensor) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + pickle_text("storage") + "ctorch\n" +
         tensor.storage + "\n" + pickle_text(tensor.key) + pickle_text("cpu") +
         pickle_int(tensor.elements) + "tQ" + pickle_int(tensor.first) + pickle_ints(tensor.shape) +
         pickle_ints(tensor.strides) +
         "\x89"
         "ccollections\nOrderedDict\n)RtR";
}

/// A legacy file of one object and one storage "0" of `elements` floats, `present` of them there.
inline std::string legacy_file(const std::string& object,
                               std::uint64_t elements = 6,
                               std::uint64_t present = 6) {
  const std::string proto = "\x80\x02";
  return proto + "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + proto + "M\xe9\x03." +
         proto + "}" + pickle_text("little_endian") + "\x88s." + proto + object + "." + proto +
         "](" + pickle_text("0") + "e." + little(elements, 8) + std::string(4 * present, '\x01');
}

inline std::string dict_of(const std::string& name, const std::string& value) {
  return "}" + pickle_text(name) + value + "s";
}

}  // namespace batchscope::testing
