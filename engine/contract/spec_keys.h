#pragma once

#include "engine/contract/run_spec.h"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// Inside engine/contract only: the one table that binds every key of a spec to its member, range
// and help. Reading, writing,
// --set, the schema and comparisons all walk it.
namespace batchscope::contract::detail {

/// A value of a key, free of TOML. monostate: an absent optional.
using Value = std::variant<std::monostate,
                           bool,
                           std::int64_t,
                           double,
                           std::string,
                           std::vector<double>,
                           std::vector<std::int64_t>,
                           std::vector<std::string>,
                           std::vector<ShadowSpec>>;

enum class ValueType {
  kBool,
  kInteger,
  kFloat,
  kString,
  kFloatPair,
  kFloats,
  kIntegers,
  kStrings,
  kShadows
};

/// What a value may be; bounds apply to each element of a list.
struct Range {
  std::optional<double> at_least, at_most, above, below;
  std::vector<std::string> one_of;
  std::size_t count = 0;  // of a list's elements, unless it is empty; 0: any
};

struct Key {
  std::string name;
  ValueType type = ValueType::kString;
  bool optional = false;
  Range range;
  std::string help;
  std::function<Value(const RunSpec&)> get;
  std::function<void(RunSpec&, const Value&)> set;  // the value has the key's type already
};

/// All keys in schema order.
const std::vector<Key>& keys();
/// Null if there is none.
const Key* find_key(const std::string& name);

std::string type_name(const Key& key);
std::string range_text(const Range& range);
/// "must be >= 1, found 0" or empty when the value is allowed.
std::string range_violation(const Range& range, const Value& value);
/// TOML notation; empty for monostate.
std::string to_toml_value(const Value& value);
/// Quotes and escapes a string as TOML does.
std::string quoted(const std::string& text);
/// The known key nearest to a mistyped one ("did you mean …"), or empty if none is near.
std::string nearest_key(const std::string& name);
/// Throws SpecError naming the key if a shadow may not set `key` (without "optim.").
void check_shadow_key(const std::string& key);
/// A shadow without a label is called after its method.
void settle_label(ShadowSpec& shadow);
/// Throws SpecError for shadows without a method, with labels that clash or cannot name a series,
/// and for contradictions in what they set.
void check_shadows(const RunSpec& spec);
/// Throws SpecError for contradictions between keys; missing data paths are not looked at.
void check_contradictions(const RunSpec& spec);

}  // namespace batchscope::contract::detail
