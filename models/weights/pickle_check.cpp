#include "models/weights/pickle_check.h"

#include <vector>

namespace batchscope::models {
namespace {

enum class Mark : std::uint8_t { kNew, kOpen, kDone };

struct Step {
  PickleRef node;
  std::size_t next = 0;
};

bool is_container(const PickleNode& node) {
  return node.kind == PickleKind::kList || node.kind == PickleKind::kTuple ||
         node.kind == PickleKind::kDict;
}

}  // namespace

std::string container_fault(const PickleTree& tree, PickleRef root, std::size_t depth) {
  std::vector<Mark> marks(tree.nodes.size(), Mark::kNew);
  std::vector<Step> path;
  const auto enter = [&](PickleRef ref) {
    if (ref != kNoNode && marks[ref] == Mark::kNew && is_container(tree[ref])) {
      marks[ref] = Mark::kOpen;
      path.push_back({ref});
    }
  };
  enter(root);
  while (!path.empty()) {
    Step& top = path.back();
    const PickleNode& node = tree[top.node];
    if (top.next > node.items.size()) {
      marks[top.node] = Mark::kDone;
      path.pop_back();
      continue;
    }
    // An OrderedDict's state comes last.
    const PickleRef child = top.next < node.items.size() ? node.items[top.next] : node.state;
    ++top.next;
    if (child != kNoNode && marks[child] == Mark::kOpen) {
      return "a container that contains itself";
    }
    if (path.size() == depth && child != kNoNode && is_container(tree[child])) {
      return "more than " + std::to_string(depth) + " containers inside one another";
    }
    enter(child);
  }
  return {};
}

bool is_utf8(const std::string& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned first = byte(i);
    const std::size_t more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || i + more >= text.size()) {
      return false;
    }
    unsigned code = more == 0 ? first : first & (0x3fU >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      if ((byte(i + k) & 0xc0U) != 0x80) {
        return false;
      }
      code = code << 6U | (byte(i + k) & 0x3fU);
    }
    const unsigned least = more == 2 ? 0x800 : more == 3 ? 0x10000 : 0;
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      return false;
    }
    i += more + 1;
  }
  return true;
}

}  // namespace batchscope::models
