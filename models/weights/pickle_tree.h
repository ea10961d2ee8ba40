#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::models {

enum class PickleKind : std::uint8_t {
  kNone,
  kBool,    // number
  kInt,     // number; one of more than 64 bits is kBigInt
  kBigInt,  // bytes, little-endian
  kFloat,   // real
  kText,    // text, UTF-8
  kBytes,   // text
  kList,    // items; sets too
  kTuple,   // items
  kDict,    // items: key, value, key, value, …; state: what was set on an OrderedDict
  kGlobal,  // text: "module.name"; nothing is ever looked up or called
  kObject,  // a call that is not carried out. text: the callee; items: its arguments as one tuple;
            // state: what was set on it
  kPersistent,  // items: the id, for torch a tuple ("storage", class, key, place, count)
};

/// Number of a node in its tree.
using PickleRef = std::uint32_t;
inline constexpr PickleRef kNoNode = 0xffffffff;

struct PickleNode {
  PickleKind kind = PickleKind::kNone;
  PickleRef state = kNoNode;
  std::int64_t number = 0;
  double real = 0;
  std::string text;
  std::vector<PickleRef> items;
};

/// What pickles hold. Nodes refer to one another by number, so that shared and even cyclic parts
/// cost nothing to keep and are freed without recursion.
struct PickleTree {
  std::vector<PickleNode> nodes;
  std::uint64_t work = 0;  // opcodes and copied references so far, against the limit

  const PickleNode& operator[](PickleRef ref) const { return nodes[ref]; }
  PickleNode& operator[](PickleRef ref) { return nodes[ref]; }

  /// The value at a text key of a dict (the last one if it stands twice); kNoNode if there is none
  /// or `dict` is none.
  PickleRef at(PickleRef dict, const std::string& key) const;
};

}  // namespace batchscope::models
