#pragma once

#include "models/weights/unpickler.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace batchscope::models {

/// The stack machine behind unpickle(), which alone uses it. One pickle, one thread.
class PickleMachine {
 public:
  PickleMachine(ByteReader& reader, PickleTree& tree, const PickleLimits& limits)
      : reader_(reader), tree_(tree), limits_(limits), begin_(reader.place()) {}

  /// Carries out opcodes until STOP. Throws WeightError.
  PickleRef run();

 private:
  // The opcodes in groups: false when `op` is not one of them.
  bool plain(std::uint8_t op);
  bool number(std::uint8_t op);
  bool text(std::uint8_t op);
  bool container(std::uint8_t op);
  bool tuple(std::uint8_t op);
  bool fill(std::uint8_t op);
  bool memory(std::uint8_t op);
  bool call(std::uint8_t op);

  [[noreturn]] void refuse(const std::string& why) const;
  [[noreturn]] void malformed(const std::string& why) const;
  void spend(std::uint64_t amount);

  PickleRef add(PickleNode node);
  void push(PickleRef ref);
  void push(PickleNode node) { push(add(std::move(node))); }
  void push_int(std::int64_t value);
  void push_long(std::uint64_t bytes);
  void push_text(std::uint64_t bytes);
  void push_bytes(std::uint64_t bytes);
  void push_global(const std::string& module, const std::string& name);
  PickleRef pop();
  PickleRef top();
  void mark();
  std::vector<PickleRef> pop_mark();
  std::string string_of(std::uint64_t bytes);

  void remember(std::uint64_t place) { memo_[place] = top(); }
  void recall(std::uint64_t place);
  void extend(PickleRef list, const std::vector<PickleRef>& items);
  void set_items(PickleRef dict, const std::vector<PickleRef>& items);
  void reduce(PickleRef callee, PickleRef arguments);
  PickleRef dict_of(PickleRef arguments);

  ByteReader& reader_;
  PickleTree& tree_;
  const PickleLimits& limits_;
  std::uint64_t begin_, op_place_ = 0;
  std::vector<PickleRef> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, PickleRef> memo_;
};

}  // namespace batchscope::models
