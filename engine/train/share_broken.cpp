#include "engine/train/share_broken.h"

#include <cstring>

namespace batchscope::train {
namespace {

/// Index, length and reason, one after another: no rank hears from any but ours.
std::string pack(const std::vector<BrokenPicture>& found) {
  std::string bytes;
  const auto add = [&bytes](std::int64_t number) {
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  };
  for (const BrokenPicture& picture : found) {
    add(picture.index);
    add(static_cast<std::int64_t>(picture.why.size()));
    bytes += picture.why;
  }
  return bytes;
}

void unpack(const std::string& bytes, std::vector<BrokenPicture>& found) {
  std::size_t at = 0;
  const auto next = [&] {
    std::int64_t number = 0;
    std::memcpy(&number, bytes.data() + at, sizeof number);
    at += sizeof number;
    return number;
  };
  while (at < bytes.size()) {
    const std::int64_t index = next();
    const auto length = static_cast<std::size_t>(next());
    found.push_back({index, bytes.substr(at, length)});
    at += length;
  }
}

}  // namespace

std::vector<std::string> share_broken(BrokenPictures& pictures, Group& group) {
  std::vector<BrokenPicture> found;
  for (const std::string& bytes : group.all_gather_bytes(pack(pictures.take_found()))) {
    unpack(bytes, found);
  }
  return pictures.agree(std::move(found));
}

}  // namespace batchscope::train
