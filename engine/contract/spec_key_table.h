#pragma once

#include "engine/contract/spec_keys.h"

#include <algorithm>
#include <type_traits>
#include <utility>

// Inside engine/contract only: how the rows of the table of keys are written, and its parts.
namespace batchscope::contract::detail {

template <class T>
struct Member {
  static constexpr bool kOptional = false;
  using Type = T;
};
template <class T>
struct Member<std::optional<T>> {
  static constexpr bool kOptional = true;
  using Type = T;
};

template <class T>
constexpr ValueType value_type() {
  if constexpr (std::is_same_v<T, bool>) {
    return ValueType::kBool;
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return ValueType::kInteger;
  } else if constexpr (std::is_same_v<T, double>) {
    return ValueType::kFloat;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return ValueType::kString;
  } else if constexpr (std::is_same_v<T, std::array<double, 2>>) {
    return ValueType::kFloatPair;
  } else if constexpr (std::is_same_v<T, std::vector<double>>) {
    return ValueType::kFloats;
  } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) {
    return ValueType::kIntegers;
  } else if constexpr (std::is_same_v<T, std::vector<ShadowSpec>>) {
    return ValueType::kShadows;
  } else {
    return ValueType::kStrings;
  }
}

template <class T>
Value box(const T& member) {
  if constexpr (Member<T>::kOptional) {
    return member ? box(*member) : Value{};
  } else if constexpr (std::is_same_v<T, std::array<double, 2>>) {
    return std::vector<double>(member.begin(), member.end());
  } else {
    return member;
  }
}

template <class T>
void unbox(const Value& value, T& member) {
  if constexpr (Member<T>::kOptional) {
    if (std::holds_alternative<std::monostate>(value)) {
      member.reset();
    } else {
      typename Member<T>::Type inner{};
      unbox(value, inner);
      member = inner;
    }
  } else if constexpr (std::is_same_v<T, std::array<double, 2>>) {
    const auto& pair = std::get<std::vector<double>>(value);
    member = {pair.at(0), pair.at(1)};
  } else {
    member = std::get<T>(value);
  }
}

/// Adds rows.
struct KeyTable {
  std::vector<Key> keys;

  // `at` maps a spec (const or not) to the member.
  template <class At>
  void add(const char* name, At at, Range range, const char* help) {
    using T = std::remove_cvref_t<decltype(at(std::declval<RunSpec&>()))>;
    Key key;
    key.name = name;
    key.type = value_type<typename Member<T>::Type>();
    key.optional = Member<T>::kOptional;
    key.range = std::move(range);
    key.help = help;
    key.get = [at](const RunSpec& spec) { return box(at(spec)); };
    key.set = [at](RunSpec& spec, const Value& value) { unbox(value, at(spec)); };
    keys.push_back(std::move(key));
  }
};

#define AT(member) ([](auto& s) -> auto& { return s.member; })

inline Range any() {
  return {};
}
inline Range at_least(double bound) {
  return {.at_least = bound};
}
inline Range above(double bound) {
  return {.above = bound};
}
inline Range within(double low, double high) {
  return {.at_least = low, .at_most = high};
}
inline Range from_below(double low, double high) {
  return {.at_least = low, .below = high};
}
inline Range one_of(std::vector<std::string> words) {
  return {.one_of = std::move(words)};
}
/// A list of this many values, or none.
inline Range counted(std::size_t count, Range of_each) {
  of_each.count = count;
  return of_each;
}

void add_data_keys(KeyTable& b);
void add_model_keys(KeyTable& b);
void add_optim_keys(KeyTable& b);

}  // namespace batchscope::contract::detail
