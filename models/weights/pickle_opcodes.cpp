#include "models/weights/pickle_check.h"
#include "models/weights/pickle_machine.h"
#include "models/weights/weight_error.h"

#include <algorithm>
#include <bit>

namespace batchscope::models {
namespace {

constexpr std::uint64_t kIntBytes = 8;

}  // namespace

std::string PickleMachine::string_of(std::uint64_t bytes) {
  if (bytes > limits_.text) {
    refuse("has a string of " + std::to_string(bytes) + " bytes in its pickle, at most " +
           std::to_string(limits_.text) + " are allowed");
  }
  return reader_.take(bytes);
}

void PickleMachine::push_int(std::int64_t value) {
  push({.kind = PickleKind::kInt, .number = value});
}

void PickleMachine::push_text(std::uint64_t bytes) {
  std::string value = string_of(bytes);
  const bool valid = is_utf8(value);
  push({.kind = valid ? PickleKind::kText : PickleKind::kBytes, .text = std::move(value)});
}

void PickleMachine::push_bytes(std::uint64_t bytes) {
  push({.kind = PickleKind::kBytes, .text = string_of(bytes)});
}

void PickleMachine::push_long(std::uint64_t bytes) {
  std::string digits = string_of(bytes);
  if (bytes > kIntBytes) {
    push({.kind = PickleKind::kBigInt, .text = std::move(digits)});
    return;
  }
  const bool negative = bytes > 0 && (static_cast<unsigned char>(digits.back()) & 0x80U) != 0;
  digits.resize(kIntBytes, negative ? '\xff' : '\0');
  push_int(little_endian<std::int64_t>(digits.data()));
}

void PickleMachine::push_global(const std::string& module, const std::string& name) {
  if (!is_utf8(module) || !is_utf8(name) || name.empty() ||
      module.size() + name.size() > 2 * limits_.global) {
    malformed("a global without a name");
  }
  push({.kind = PickleKind::kGlobal, .text = module + "." + name});
}

bool PickleMachine::plain(std::uint8_t op) {
  switch (op) {
    case 0x80:  // PROTO
      if (reader_.byte() > 5) {
        malformed("an unknown protocol");
      }
      return true;
    case 0x95:  // FRAME: a hint about reading ahead
      reader_.number<std::uint64_t>();
      return true;
    case 'N':
      push({.kind = PickleKind::kNone});
      return true;
    case 0x88:
    case 0x89:
      push({.kind = PickleKind::kBool, .number = op == 0x88 ? 1 : 0});
      return true;
    default:
      return false;
  }
}

bool PickleMachine::number(std::uint8_t op) {
  switch (op) {
    case 'K':
      push_int(reader_.byte());
      return true;
    case 'M':
      push_int(reader_.number<std::uint16_t>());
      return true;
    case 'J':
      push_int(reader_.number<std::int32_t>());
      return true;
    case 0x8a:
      push_long(reader_.byte());
      return true;
    case 0x8b:
      push_long(reader_.number<std::uint32_t>());
      return true;
    case 'G': {
      const std::string bytes = reader_.take(8);
      const std::string turned(bytes.rbegin(), bytes.rend());  // big-endian
      push({.kind = PickleKind::kFloat,
            .real = std::bit_cast<double>(little_endian<std::uint64_t>(turned.data()))});
      return true;
    }
    default:
      return false;
  }
}

bool PickleMachine::text(std::uint8_t op) {
  switch (op) {
    case 'X':
    case 'T':  // Python 2's str
      push_text(reader_.number<std::uint32_t>());
      return true;
    case 0x8c:
    case 'U':
      push_text(reader_.byte());
      return true;
    case 0x8d:
      push_text(reader_.number<std::uint64_t>());
      return true;
    case 'C':
      push_bytes(reader_.byte());
      return true;
    case 'B':
      push_bytes(reader_.number<std::uint32_t>());
      return true;
    case 0x8e:
    case 0x96:  // BYTEARRAY8
      push_bytes(reader_.number<std::uint64_t>());
      return true;
    default:
      return false;
  }
}

bool PickleMachine::container(std::uint8_t op) {
  switch (op) {
    case '(':
      mark();
      return true;
    case ')':
      push({.kind = PickleKind::kTuple});
      return true;
    case ']':
    case 0x8f:  // EMPTY_SET
      push({.kind = PickleKind::kList});
      return true;
    case '}':
      push({.kind = PickleKind::kDict});
      return true;
    default:
      return false;
  }
}

bool PickleMachine::tuple(std::uint8_t op) {
  switch (op) {
    case 't':
    case 'l':
    case 0x91:  // FROZENSET
      push({.kind = op == 't' ? PickleKind::kTuple : PickleKind::kList, .items = pop_mark()});
      return true;
    case 0x85:
    case 0x86:
    case 0x87: {
      PickleNode tuple{.kind = PickleKind::kTuple, .items = {}};
      tuple.items.resize(op - 0x84U);
      for (PickleRef& item : tuple.items) {
        item = pop();
      }
      std::ranges::reverse(tuple.items);
      push(std::move(tuple));
      return true;
    }
    default:
      return false;
  }
}

bool PickleMachine::fill(std::uint8_t op) {
  switch (op) {
    case 'd': {
      const std::vector<PickleRef> items = pop_mark();
      const PickleRef dict = add({.kind = PickleKind::kDict});
      push(dict);
      set_items(dict, items);
      return true;
    }
    case 'a': {
      const PickleRef item = pop();
      extend(top(), {item});
      return true;
    }
    case 'e':
    case 0x90: {  // ADDITEMS
      const std::vector<PickleRef> items = pop_mark();
      extend(top(), items);
      return true;
    }
    case 's': {
      const PickleRef value = pop(), key = pop();
      set_items(top(), {key, value});
      return true;
    }
    case 'u': {
      const std::vector<PickleRef> items = pop_mark();
      set_items(top(), items);
      return true;
    }
    default:
      return false;
  }
}

bool PickleMachine::memory(std::uint8_t op) {
  switch (op) {
    case 'q':
      remember(reader_.byte());
      return true;
    case 'r':
      remember(reader_.number<std::uint32_t>());
      return true;
    case 0x94:  // MEMOIZE
      remember(memo_.size());
      return true;
    case 'h':
      recall(reader_.byte());
      return true;
    case 'j':
      recall(reader_.number<std::uint32_t>());
      return true;
    case '0':
      pop();
      return true;
    case '1':
      pop_mark();
      return true;
    case '2':
      push(top());
      return true;
    default:
      return false;
  }
}

bool PickleMachine::call(std::uint8_t op) {
  switch (op) {
    case 'c': {
      const std::string module = reader_.line(limits_.global);
      push_global(module, reader_.line(limits_.global));
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const PickleRef name = pop(), module = pop();
      if (tree_[name].kind != PickleKind::kText || tree_[module].kind != PickleKind::kText) {
        malformed("a global without a name");
      }
      push_global(tree_[module].text, tree_[name].text);
      return true;
    }
    case 'R':
    case 0x81: {  // NEWOBJ
      const PickleRef arguments = pop(), callee = pop();
      reduce(callee, arguments);
      return true;
    }
    case 0x92: {  // NEWOBJ_EX: keywords matter to no container
      pop();
      const PickleRef arguments = pop(), callee = pop();
      reduce(callee, arguments);
      return true;
    }
    case 'b': {
      const PickleRef state = pop();
      tree_[top()].state = state;
      return true;
    }
    case 'Q': {
      const PickleRef id = pop();
      push({.kind = PickleKind::kPersistent, .items = {id}});
      return true;
    }
    default:
      return false;
  }
}

}  // namespace batchscope::models
