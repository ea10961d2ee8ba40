#include "engine/contract/spec_keys.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <type_traits>

namespace batchscope::contract::detail {
namespace {

std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string number_text(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), end};
}

std::string bound_violation(const Range& range, double value) {
  const auto say = [&](const char* sign, double bound) {
    return std::string("must be ") + sign + " " + number_text(bound) + ", found " +
           number_text(value);
  };
  if (!std::isfinite(value)) {
    return "must be finite, found " + number_text(value);
  }
  if (range.at_least && value < *range.at_least) {
    return say(">=", *range.at_least);
  }
  if (range.above && value <= *range.above) {
    return say(">", *range.above);
  }
  if (range.at_most && value > *range.at_most) {
    return say("<=", *range.at_most);
  }
  if (range.below && value >= *range.below) {
    return say("<", *range.below);
  }
  return {};
}

std::string shadow_text(const ShadowSpec& shadow) {
  std::string text = "{ label = " + quoted(shadow.label);
  for (const auto& [key, value] : shadow.set) {
    text += ", ";
    text.append(key).append(" = ").append(value);
  }
  return text + " }";
}

template <class T>
std::string list_text(const std::vector<T>& list) {
  std::string text = "[";
  for (const auto& item : list) {
    text += text.size() > 1 ? ", " : "";
    if constexpr (std::is_same_v<T, ShadowSpec>) {
      text += shadow_text(item);
    } else {
      text += to_toml_value(item);
    }
  }
  return text + "]";
}

}  // namespace

std::string type_name(const Key& key) {
  switch (key.type) {
    case ValueType::kBool:
      return "boolean";
    case ValueType::kInteger:
      return "integer";
    case ValueType::kFloat:
      return "float";
    case ValueType::kString:
      return "string";
    case ValueType::kFloatPair:
      return "[float, float]";
    case ValueType::kFloats:
      return "list of floats";
    case ValueType::kIntegers:
      return "list of integers";
    case ValueType::kStrings:
      return "list of strings";
    case ValueType::kShadows:
      return "list of tables";
  }
  return {};
}

std::string range_text(const Range& range) {
  if (!range.one_of.empty()) {
    std::string text = "one of ";
    for (const auto& word : range.one_of) {
      text += (&word == &range.one_of.front() ? "" : ", ") + word;
    }
    return text;
  }
  std::string text;
  const auto add = [&](const char* sign, const std::optional<double>& bound) {
    if (bound) {
      text += (text.empty() ? "" : ", ") + std::string(sign) + " " + number_text(*bound);
    }
  };
  add(">=", range.at_least);
  add(">", range.above);
  add("<=", range.at_most);
  add("<", range.below);
  if (range.count > 0) {
    text += (text.empty() ? "" : ", ") + std::to_string(range.count) + " values";
  }
  return text;
}

std::string range_violation(const Range& range, const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value); text && !range.one_of.empty()) {
    const bool known =
        std::find(range.one_of.begin(), range.one_of.end(), *text) != range.one_of.end();
    return known ? "" : "must be " + range_text(range) + ", found " + quoted(*text);
  }
  std::vector<double> numbers;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    numbers = {static_cast<double>(*integer)};
  } else if (const auto* real = std::get_if<double>(&value)) {
    numbers = {*real};
  } else if (const auto* reals = std::get_if<std::vector<double>>(&value)) {
    numbers = *reals;
  } else if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&value)) {
    numbers.assign(integers->begin(), integers->end());
  }
  if (range.count > 0 && !numbers.empty() && numbers.size() != range.count) {
    return "must have " + std::to_string(range.count) + " values, found " +
           std::to_string(numbers.size());
  }
  for (const double number : numbers) {
    if (auto violation = bound_violation(range, number); !violation.empty()) {
      return violation;
    }
  }
  return {};
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          static const char* const kHex = "0123456789ABCDEF";
          out += "\\u00";
          out += kHex[(c >> 4) & 15];
          out += kHex[c & 15];
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

std::string to_toml_value(const Value& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::remove_cvref_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return {};
        } else if constexpr (std::is_same_v<T, bool>) {
          return v ? "true" : "false";
        } else if constexpr (std::is_same_v<T, std::int64_t>) {
          return std::to_string(v);
        } else if constexpr (std::is_same_v<T, double>) {
          const std::string text = number_text(v);
          return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
        } else if constexpr (std::is_same_v<T, std::string>) {
          return quoted(v);
        } else {
          return list_text(v);
        }
      },
      value);
}

std::string nearest_key(const std::string& name) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 4) + 1;
  for (const auto& key : keys()) {
    const std::size_t distance = edit_distance(name, key.name);
    if (distance < best_distance) {
      best_distance = distance;
      best = key.name;
    }
  }
  return best;
}

}  // namespace batchscope::contract::detail
