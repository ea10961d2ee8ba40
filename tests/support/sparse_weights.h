#pragma once

#include "tests/models/pickle_text.h"

#include <string>
#include <utility>

namespace batchscope::testing {

/// What stands before and behind `bytes` zeros so that all of it is a weight file of one tensor
/// "w" of uint8.
using AroundZeros = std::pair<std::string, std::string>;

inline AroundZeros safetensors_around(std::uint64_t bytes) {
  const std::string count = std::to_string(bytes);
  const std::string header =
      R"({"w":{"dtype":"U8","shape":[)" + count + R"(],"data_offsets":[0,)" + count + "]}}";
  return {little(header.size(), 8) + header, ""};
}

/// A zip file as torch.save writes it. `bytes` has less than 32 bits.
inline AroundZeros pth_around(std::uint64_t bytes) {
  const auto size = static_cast<std::int64_t>(bytes);
  const std::string pickle =
      "\x80\x02" +
      dict_of("w",
              pickle_tensor(
                  {.storage = "ByteStorage", .elements = size, .shape = {size}, .strides = {1}})) +
      ".";
  const std::string names[] = {"a/data.pkl", "a/data/0"};
  const std::uint64_t sizes[] = {pickle.size(), bytes};
  const auto local = [&](std::size_t i) {
    return "PK\3\4" + std::string(14, '\0') + little(sizes[i], 4) + little(sizes[i], 4) +
           little(names[i].size(), 2) + std::string(2, '\0') + names[i];
  };
  const std::string begin = local(0) + pickle + local(1);
  const std::uint64_t places[] = {0, local(0).size() + pickle.size()};
  std::string directory;
  for (std::size_t i = 0; i < 2; ++i) {
    directory += "PK\1\2" + std::string(16, '\0') + little(sizes[i], 4) + little(sizes[i], 4) +
                 little(names[i].size(), 2) + std::string(12, '\0') + little(places[i], 4) +
                 names[i];
  }
  return {begin,
          directory + "PK\5\6" + std::string(4, '\0') + little(2, 2) + little(2, 2) +
              little(directory.size(), 4) + little(begin.size() + bytes, 4) + std::string(2, '\0')};
}

}  // namespace batchscope::testing
