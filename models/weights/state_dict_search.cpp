#include "models/weights/state_dict_search.h"

#include "models/weights/pickle_tensor.h"
#include "models/weights/weight_error.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace batchscope::models {
namespace {

constexpr std::array kModelKeys = {
    "model", "state_dict", "model_state_dict", "model_state", "module", "net", "weights"};
constexpr int kDeepest = 4;         // dicts around a state_dict
constexpr int kDeepestModule = 40;  // modules inside one another
constexpr std::size_t kMostOthers = 100;
constexpr std::size_t kMostOfAModule = 32;  // what Python notes about a module is one number

bool is_text(const PickleNode& node) {
  return node.kind == PickleKind::kText;
}

std::string below(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

struct Place {
  std::string path;
  std::size_t tensors = 0;
};

class Search {
 public:
  explicit Search(const PickleTree& tree) : tree_(tree), seen_(tree.nodes.size(), false) {}

  StateDict find(PickleRef ref, const std::string& path, int depth) {
    if (depth > kDeepest || !first_visit(ref)) {
      return {};
    }
    StateDict best = collect(ref);
    best.path = path;
    if (tree_[ref].kind != PickleKind::kDict) {
      return best;
    }
    for (const char* key : kModelKeys) {
      StateDict named = find(tree_.at(ref, key), below(path, key), depth + 1);
      if (!named.tensors.empty()) {
        return named;
      }
    }
    for (const auto& [key, value] : parts(ref)) {
      StateDict other = find(value, below(path, key), depth + 1);
      if (other.tensors.size() > best.tensors.size()) {
        best = std::move(other);
      }
    }
    return best;
  }

  /// All that have tensors, in order.
  void list(PickleRef ref, const std::string& path, int depth, std::vector<Place>& sets) {
    if (depth > kDeepest || sets.size() >= kMostOthers || !first_visit(ref)) {
      return;
    }
    if (const std::size_t tensors = collect(ref).tensors.size(); tensors > 0) {
      sets.push_back({path, tensors});
    }
    for (const auto& [key, value] : parts(ref)) {
      list(value, below(path, key), depth + 1, sets);
    }
  }

 private:
  /// What a dict has under names, without the optimizer's.
  std::vector<std::pair<std::string, PickleRef>> parts(PickleRef dict) const {
    std::vector<std::pair<std::string, PickleRef>> found;
    const std::vector<PickleRef>& items = tree_[dict].items;
    for (std::size_t i = 0; tree_[dict].kind == PickleKind::kDict && i + 1 < items.size(); i += 2) {
      if (const PickleNode& key = tree_[items[i]]; is_text(key) && key.text != "optimizer") {
        found.emplace_back(key.text, items[i + 1]);
      }
    }
    return found;
  }

  bool first_visit(PickleRef ref) {
    if (ref == kNoNode || seen_[ref]) {
      return false;
    }
    seen_[ref] = true;
    return true;
  }

  StateDict collect(PickleRef ref) {
    StateDict found;
    if (tree_[ref].kind == PickleKind::kObject) {
      collect_module(ref, "", 0, found);
      if (found.tensors.empty() && tree_[ref].text.starts_with("__torch__.")) {
        collect_script(ref, "", 0, found);
      }
    } else if (tree_[ref].kind == PickleKind::kDict) {
      collect_tensors(ref, "", found, &found.skipped);
      collect_versions(tree_.at(tree_[ref].state, "_metadata"), found);
    }
    return found;
  }

  void collect_tensors(PickleRef dict,
                       const std::string& prefix,
                       StateDict& found,
                       std::vector<std::string>* skipped) const {
    if (dict == kNoNode || tree_[dict].kind != PickleKind::kDict) {
      return;
    }
    const std::vector<PickleRef>& items = tree_[dict].items;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      const PickleNode& key = tree_[items[i]];
      if (is_text(key) && is_tensor(tree_, items[i + 1])) {
        found.tensors.emplace_back(prefix + key.text, items[i + 1]);
      } else if (skipped != nullptr && skipped->size() < kMostOthers) {
        skipped->push_back((is_text(key) ? key.text : "a key that is no text") + ": " +
                           describe(tree_, items[i + 1]));
      }
    }
  }

  /// A pickled torch.nn.Module: its attributes are dicts of parameters, buffers and modules.
  void collect_module(PickleRef ref, const std::string& prefix, int depth, StateDict& found) {
    if (depth > kDeepestModule || tree_[ref].kind != PickleKind::kObject) {
      return;
    }
    const PickleRef state = tree_[ref].state;
    for (const char* kind : {"_parameters", "_buffers"}) {
      const PickleRef tensors = tree_.at(state, kind);
      if (first_visit(tensors)) {
        collect_tensors(tensors, prefix, found, nullptr);
      }
    }
    const PickleRef modules = tree_.at(state, "_modules");
    if (!first_visit(modules) || tree_[modules].kind != PickleKind::kDict) {
      return;
    }
    const std::vector<PickleRef>& items = tree_[modules].items;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      if (is_text(tree_[items[i]]) && first_visit(items[i + 1])) {
        collect_module(items[i + 1], prefix + tree_[items[i]].text + ".", depth + 1, found);
      }
    }
  }

  /// A module of TorchScript: its attributes are tensors, modules, and what else it has.
  void collect_script(PickleRef ref, const std::string& prefix, int depth, StateDict& found) {
    const PickleRef state = tree_[ref].state;
    if (depth > kDeepestModule || !first_visit(state) || tree_[state].kind != PickleKind::kDict) {
      return;
    }
    collect_tensors(state, prefix, found, nullptr);
    for (const auto& [key, value] : parts(state)) {
      if (tree_[value].kind == PickleKind::kObject && !is_tensor(tree_, value)) {
        collect_script(value, prefix + key + ".", depth + 1, found);
      }
    }
  }

  /// {"module path": {"version": n}}
  void collect_versions(PickleRef metadata, StateDict& found) const {
    if (metadata == kNoNode || tree_[metadata].kind != PickleKind::kDict) {
      return;
    }
    const std::vector<PickleRef>& items = tree_[metadata].items;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      const bool small = tree_[items[i + 1]].items.size() <= kMostOfAModule;
      const PickleRef version = small ? tree_.at(items[i + 1], "version") : kNoNode;
      if (is_text(tree_[items[i]]) && version != kNoNode &&
          tree_[version].kind == PickleKind::kInt) {
        found.versions.emplace_back(tree_[items[i]].text, tree_[version].number);
      }
    }
  }

  const PickleTree& tree_;
  std::vector<bool> seen_;  // shared parts are looked at once
};

/// The node at a path such as "ema.module"; keys may have dots themselves. kNoNode: there is none.
PickleRef node_at(const PickleTree& tree, PickleRef ref, const std::string& path) {
  for (std::size_t end = path.size(); ref != kNoNode && end != std::string::npos && end > 0;
       end = path.rfind('.', end - 1)) {
    const PickleRef found = tree.at(ref, path.substr(0, end));
    if (found != kNoNode && end == path.size()) {
      return found;
    }
    const PickleRef deeper =
        found == kNoNode ? kNoNode : node_at(tree, found, path.substr(end + 1));
    if (deeper != kNoNode) {
      return deeper;
    }
  }
  return kNoNode;
}

/// Other paths with as many tensors as the chosen one, or at least half of them.
std::vector<std::string> sets_beside(const PickleTree& tree,
                                     PickleRef root,
                                     const StateDict& chosen) {
  std::vector<Place> places;
  Search(tree).list(root, "", 0, places);
  std::vector<std::string> sets;
  for (const Place& place : places) {
    if (!place.path.empty() && place.path != chosen.path &&
        2 * place.tensors >= chosen.tensors.size()) {
      sets.push_back(place.path);
    }
  }
  return sets;
}

}  // namespace

std::string describe(const PickleTree& tree, PickleRef ref) {
  const PickleNode& node = tree[ref];
  switch (node.kind) {
    case PickleKind::kNone:
      return "None";
    case PickleKind::kBool:
      return node.number != 0 ? "True" : "False";
    case PickleKind::kInt:
      return std::to_string(node.number);
    case PickleKind::kFloat: {
      std::ostringstream text;
      text << node.real;
      return text.str();
    }
    case PickleKind::kText:
      return shown(node.text);
    case PickleKind::kList:
      return "list of " + std::to_string(node.items.size());
    case PickleKind::kTuple:
      return "tuple of " + std::to_string(node.items.size());
    case PickleKind::kDict:
      return "dict of " + std::to_string(node.items.size() / 2);
    case PickleKind::kGlobal:
    case PickleKind::kObject:
      return is_tensor(tree, ref) ? "tensor" : node.text;
    case PickleKind::kBigInt:
      return "a large integer";
    case PickleKind::kBytes:
      return std::to_string(node.text.size()) + " bytes";
    case PickleKind::kPersistent:
      return "a storage";
  }
  return "";
}

std::vector<std::string> weight_sets(const PickleTree& tree, PickleRef root) {
  std::vector<Place> places;
  Search(tree).list(root, "", 0, places);
  std::vector<std::string> paths;
  for (Place& place : places) {
    if (!place.path.empty()) {
      paths.push_back(std::move(place.path));
    }
  }
  return paths;
}

StateDict find_state_dict(const PickleTree& tree, PickleRef root, const std::string& key) {
  const PickleRef begin = key.empty() ? root : node_at(tree, root, key);
  StateDict found = Search(tree).find(begin, key, 0);
  if (found.tensors.empty()) {
    return found;
  }
  found.other_sets = sets_beside(tree, root, found);
  if (found.path.empty() || tree[root].kind != PickleKind::kDict) {
    return found;
  }
  const std::string chosen = found.path.substr(0, found.path.find('.'));
  const std::vector<PickleRef>& items = tree[root].items;
  for (std::size_t i = 0; i + 1 < items.size() && found.others.size() < kMostOthers; i += 2) {
    const PickleNode& name = tree[items[i]];
    if (!is_text(name) || name.text != chosen) {
      found.others.push_back((is_text(name) ? name.text : describe(tree, items[i])) + ": " +
                             describe(tree, items[i + 1]));
    }
  }
  return found;
}

}  // namespace batchscope::models
