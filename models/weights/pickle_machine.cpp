#include "models/weights/pickle_machine.h"

#include "models/weights/pickle_check.h"
#include "models/weights/weight_error.h"

namespace batchscope::models {

PickleRef PickleMachine::run() {
  for (;;) {
    spend(1);
    if (reader_.place() - begin_ > limits_.bytes) {
      refuse("has a pickle of more than " + std::to_string(limits_.bytes) + " bytes");
    }
    op_place_ = reader_.place();
    const std::uint8_t op = reader_.byte();
    if (op == '.') {
      break;
    }
    if (!memory(op) && !plain(op) && !number(op) && !text(op) && !container(op) && !tuple(op) &&
        !fill(op) && !call(op)) {
      refuse("has opcode " + std::to_string(op) + " in its pickle at byte " +
             std::to_string(op_place_) + ", which no weight file needs");
    }
  }
  const PickleRef root = pop();
  const std::string fault = container_fault(tree_, root, limits_.depth);
  if (!fault.empty()) {
    refuse("has " + fault);
  }
  return root;
}

void PickleMachine::refuse(const std::string& why) const {
  refuse_file(reader_.source().origin(), why);
}

void PickleMachine::malformed(const std::string& why) const {
  refuse("has a malformed pickle: " + why + " at byte " + std::to_string(op_place_));
}

void PickleMachine::spend(std::uint64_t amount) {
  tree_.work += amount;
  if (tree_.work > limits_.work) {
    refuse("has pickles of more than " + std::to_string(limits_.work) + " operations");
  }
}

PickleRef PickleMachine::add(PickleNode node) {
  tree_.nodes.push_back(std::move(node));
  return static_cast<PickleRef>(tree_.nodes.size() - 1);
}

void PickleMachine::push(PickleRef ref) {
  if (stack_.size() >= limits_.stack) {
    refuse("has a pickle with more than " + std::to_string(limits_.stack) + " open values");
  }
  stack_.push_back(ref);
}

PickleRef PickleMachine::pop() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) {
    malformed("a value is missing");
  }
  const PickleRef ref = stack_.back();
  stack_.pop_back();
  return ref;
}

PickleRef PickleMachine::top() {
  const PickleRef ref = pop();
  stack_.push_back(ref);
  return ref;
}

void PickleMachine::mark() {
  if (marks_.size() >= limits_.stack) {
    refuse("has a pickle with more than " + std::to_string(limits_.stack) + " open marks");
  }
  marks_.push_back(stack_.size());
}

std::vector<PickleRef> PickleMachine::pop_mark() {
  if (marks_.empty()) {
    malformed("a mark is missing");
  }
  const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<PickleRef> items(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return items;
}

void PickleMachine::recall(std::uint64_t place) {
  const auto found = memo_.find(place);
  if (found == memo_.end()) {
    malformed("memo " + std::to_string(place) + " was never set");
  }
  push(found->second);
}

void PickleMachine::extend(PickleRef list, const std::vector<PickleRef>& items) {
  PickleNode& node = tree_[list];
  if (node.kind == PickleKind::kObject) {
    return;  // a list class that is not known: what it holds is its own affair
  }
  if (node.kind != PickleKind::kList) {
    malformed("items for what is no list");
  }
  node.items.insert(node.items.end(), items.begin(), items.end());
}

void PickleMachine::set_items(PickleRef dict, const std::vector<PickleRef>& items) {
  PickleNode& node = tree_[dict];
  if (items.size() % 2 != 0) {
    malformed("a key without a value");
  }
  if (node.kind == PickleKind::kObject) {
    return;
  }
  if (node.kind != PickleKind::kDict) {
    malformed("keys for what is no dict");
  }
  node.items.insert(node.items.end(), items.begin(), items.end());
}

PickleRef PickleMachine::dict_of(PickleRef arguments) {
  // Python 2's OrderedDict comes with a list of pairs.
  const std::vector<PickleRef> given = tree_[arguments].items;
  spend(given.size());
  const PickleRef dict = add({.kind = PickleKind::kDict});
  for (const PickleRef list : given) {
    const std::vector<PickleRef> pairs =
        tree_[list].kind == PickleKind::kList ? tree_[list].items : std::vector<PickleRef>();
    spend(pairs.size());
    for (const PickleRef pair : pairs) {
      if (tree_[pair].items.size() != 2) {
        malformed("a dict of what are no pairs");
      }
      set_items(dict, std::vector<PickleRef>(tree_[pair].items));
    }
  }
  return dict;
}

void PickleMachine::reduce(PickleRef callee, PickleRef arguments) {
  if (tree_[arguments].kind != PickleKind::kTuple) {
    malformed("a call without arguments");
  }
  const std::string name =
      tree_[callee].kind == PickleKind::kGlobal ? tree_[callee].text : std::string("an object");
  const std::size_t given = tree_[arguments].items.size();
  if (name == "collections.OrderedDict" || name == "collections.defaultdict" ||
      name == "builtins.dict" || name == "__builtin__.dict") {
    push(dict_of(arguments));
  } else if (given > 0 &&
             (name == "torch.Size" || name == "builtins.tuple" || name == "__builtin__.tuple" ||
              name == "builtins.list" || name == "__builtin__.list" || name == "builtins.set" ||
              name == "__builtin__.set" || name == "torch.jit._pickle.restore_type_tag")) {
    push(tree_[arguments].items.front());
  } else {
    push({.kind = PickleKind::kObject, .text = name, .items = {arguments}});
  }
}

}  // namespace batchscope::models
