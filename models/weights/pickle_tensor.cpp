#include "models/weights/pickle_tensor.h"

#include "models/weights/weight_error.h"

namespace batchscope::models {
namespace {

constexpr std::size_t kMostDimensions = 64;

struct Call {
  std::string callee;
  PickleRef arguments = kNoNode;
};

bool starts(const std::string& text, const char* with) {
  return text.starts_with(with);
}

/// The call behind Parameters and tensors with attributes; its callee is empty when there is none.
Call tensor_call(const PickleTree& tree, PickleRef ref) {
  constexpr int kMostWrappers = 4;
  Call call;
  for (int i = 0; i < kMostWrappers && ref != kNoNode; ++i) {
    if (call.callee.empty()) {
      if (tree[ref].kind != PickleKind::kObject) {
        return {};
      }
      call = {tree[ref].text, tree[ref].items[0]};
    }
    const std::vector<PickleRef>& given = tree[call.arguments].items;
    if (starts(call.callee, "torch._utils._rebuild_parameter") && !given.empty()) {
      ref = given[0];
      call = {};
    } else if (call.callee == "torch._tensor._rebuild_from_type_v2" && given.size() > 2 &&
               tree[given[0]].kind == PickleKind::kGlobal &&
               tree[given[2]].kind == PickleKind::kTuple) {
      call = {tree[given[0]].text, given[2]};
    } else {
      return call;
    }
  }
  return {};
}

std::optional<std::int64_t> whole(const PickleNode& node) {
  return node.kind == PickleKind::kInt ? std::optional(node.number) : std::nullopt;
}

std::optional<std::vector<std::int64_t>> wholes(const PickleTree& tree, PickleRef ref) {
  const PickleNode& node = tree[ref];
  if ((node.kind != PickleKind::kTuple && node.kind != PickleKind::kList) ||
      node.items.size() > kMostDimensions) {
    return std::nullopt;
  }
  std::vector<std::int64_t> numbers;
  for (const PickleRef item : node.items) {
    const auto number = whole(tree[item]);
    if (!number || *number < 0) {
      return std::nullopt;
    }
    numbers.push_back(*number);
  }
  return numbers;
}

std::string last_part(const std::string& dotted) {
  return dotted.substr(dotted.rfind('.') + 1);
}

/// A view of a legacy storage: (key, first element, elements) inside the storage.
bool apply_view(const PickleTree& tree, const PickleNode& view, PickledStorage& storage) {
  if (view.kind != PickleKind::kTuple || view.items.size() != 3) {
    return view.kind == PickleKind::kNone;
  }
  const auto first = whole(tree[view.items[1]]), count = whole(tree[view.items[2]]);
  if (!first || !count || *first < 0 || *count < 0 ||
      static_cast<std::uint64_t>(*first) > storage.elements) {
    return false;
  }
  storage.view_first = static_cast<std::uint64_t>(*first);
  return true;
}

}  // namespace

bool is_tensor(const PickleTree& tree, PickleRef ref) {
  const std::string callee = tensor_call(tree, ref).callee;
  return starts(callee, "torch._utils._rebuild_") && callee.find("tensor") != std::string::npos;
}

std::optional<PickledStorage> storage_at(const PickleTree& tree, PickleRef ref) {
  if (tree[ref].kind != PickleKind::kPersistent) {
    return std::nullopt;
  }
  const PickleNode& id = tree[tree[ref].items[0]];
  if (id.kind != PickleKind::kTuple || id.items.size() < 5 || tree[id.items[0]].text != "storage" ||
      tree[id.items[1]].kind != PickleKind::kGlobal) {
    return std::nullopt;
  }
  const std::string kind = last_part(tree[id.items[1]].text);
  const auto type = kind == "UntypedStorage" ? TensorType::kU8 : type_of_python(kind);
  const auto count = whole(tree[id.items[4]]);
  const PickleNode& key = tree[id.items[2]];
  if (!type || !count || *count < 0 ||
      (key.kind != PickleKind::kText && key.kind != PickleKind::kInt)) {
    return std::nullopt;
  }
  PickledStorage storage{key.kind == PickleKind::kText ? key.text : std::to_string(key.number),
                         *type,
                         static_cast<std::uint64_t>(*count)};
  if (id.items.size() > 5 && !apply_view(tree, tree[id.items[5]], storage)) {
    return std::nullopt;
  }
  return storage;
}

PickledTensor tensor_at(const PickleTree& tree,
                        PickleRef ref,
                        const std::string& name,
                        const std::string& origin) {
  const Call call = tensor_call(tree, ref);
  const std::string tensor = "tensor " + shown(name);
  const bool typed = call.callee == "torch._utils._rebuild_tensor_v3";
  if (!typed && call.callee != "torch._utils._rebuild_tensor_v2" &&
      call.callee != "torch._utils._rebuild_tensor") {
    refuse_file(origin,
                "has " + tensor + " as " + shown(call.callee) + ", expected a dense tensor");
  }
  const std::vector<PickleRef>& given = tree[call.arguments].items;
  if (given.size() < (typed ? 7U : 4U)) {
    refuse_file(origin, "has a malformed pickle: " + tensor + " is described incompletely");
  }
  const auto storage = storage_at(tree, given[0]);
  if (!storage) {
    refuse_file(origin, "has " + tensor + " without a storage of a known type");
  }
  const auto first = whole(tree[given[1]]);
  const auto shape = wholes(tree, given[2]), strides = wholes(tree, given[3]);
  if (!first || *first < 0 || !shape || !strides || shape->size() != strides->size()) {
    refuse_file(origin,
                "has " + tensor + " without a place, shape and strides of whole numbers from 0");
  }
  TensorType type = storage->type;
  if (typed) {
    const auto given_type = type_of_python(last_part(tree[given[6]].text));
    if (!given_type) {
      refuse_file(origin, "has " + tensor + " of dtype " + shown(tree[given[6]].text));
    }
    type = *given_type;
  }
  return {*storage, type, *shape, *strides, *first};
}

}  // namespace batchscope::models
