#include "models/weights/weight_error.h"

#include <algorithm>

namespace batchscope::models {

WeightError::WeightError(const std::string& origin, const std::string& why)
    : std::runtime_error("Tensor file '" + printable(origin) + "' " + why + "."), why_(why) {}

void refuse_file(const std::string& origin, const std::string& why) {
  throw WeightError(origin, why);
}

std::string printable(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string shown(const std::string& name) {
  constexpr std::size_t kMost = 80;
  std::size_t kept = std::min(name.size(), kMost);
  while (kept < name.size() && kept > 0 &&
         (static_cast<unsigned char>(name[kept]) & 0xc0) == 0x80) {
    --kept;  // not in the middle of a character
  }
  return "\"" + printable(name.substr(0, kept)) + (name.size() > kept ? "…\"" : "\"");
}

}  // namespace batchscope::models
