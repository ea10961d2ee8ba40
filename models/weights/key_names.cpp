#include "models/weights/key_names.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace batchscope::models {
namespace {

std::vector<std::string> parts_of(const std::string& name) {
  std::vector<std::string> parts{""};
  for (const char c : name) {
    if (c == '.') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string name;
  for (const std::string& part : parts) {
    name += (name.empty() ? "" : ".") + part;
  }
  return name;
}

/// A number of one or two digits; -1 for anything else.
int number_of(const std::string& text) {
  int number = -1;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return text.size() <= 2 && error == std::errc() && rest == end && number >= 0 ? number : -1;
}

}  // namespace

std::string current_name(const std::string& name) {
  std::vector<std::string> parts = parts_of(name);
  if (std::erase(parts, "_orig_mod") > 0) {
    return current_name(joined(parts));
  }
  const std::size_t n = parts.size();
  if (n < 3 || (parts[n - 1] != "weight" && parts[n - 1] != "bias")) {
    return name;
  }
  const std::string &own = parts[n - 2], &above = parts[n - 3];
  const std::string further = n > 3 ? parts[n - 4] : "";
  const int number = number_of(own);
  if (own == "conv" && above == "head" && further == "rpn") {
    parts.insert(parts.end() - 1, {"0", "0"});
  } else if (number >= 0 && further == "fpn" &&
             (above == "inner_blocks" || above == "layer_blocks")) {
    parts.insert(parts.end() - 1, "0");
  } else if (number >= 0 && number % 2 == 0 && above == "conv" &&
             (further == "classification_head" || further == "regression_head")) {
    parts[n - 2] = std::to_string(number / 2);
    parts.insert(parts.end() - 1, "0");
  } else if (above == "mask_head" && own.starts_with("mask_fcn") && number_of(own.substr(8)) > 0) {
    parts[n - 2] = std::to_string(number_of(own.substr(8)) - 1);
    parts.insert(parts.end() - 1, "0");
  }
  return joined(parts);
}

std::vector<std::string> current_names(const std::vector<std::string>& names) {
  std::size_t dropped = 0;
  constexpr std::string_view kWrapper = "module.";
  std::vector<std::string> current;
  current.reserve(names.size());
  for (const std::string& name : names) {
    current.push_back(current_name(name));
  }
  const auto all_begin = [&] {
    return !current.empty() && std::ranges::all_of(current, [&](const std::string& name) {
      return name.size() > dropped + kWrapper.size() &&
             name.compare(dropped, kWrapper.size(), kWrapper) == 0;
    });
  };
  while (all_begin()) {
    dropped += kWrapper.size();
  }
  for (std::string& name : current) {
    name = current_name(name.substr(dropped));
  }
  return current;
}

}  // namespace batchscope::models
