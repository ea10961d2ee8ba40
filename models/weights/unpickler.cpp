#include "models/weights/unpickler.h"

#include "models/weights/pickle_machine.h"

namespace batchscope::models {

PickleRef PickleTree::at(PickleRef dict, const std::string& key) const {
  PickleRef found = kNoNode;
  if (dict == kNoNode || nodes[dict].kind != PickleKind::kDict) {
    return found;
  }
  const std::vector<PickleRef>& items = nodes[dict].items;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    const PickleNode& name = nodes[items[i]];
    if (name.kind == PickleKind::kText && name.text == key) {
      found = items[i + 1];
    }
  }
  return found;
}

PickleRef unpickle(ByteReader& reader, PickleTree& tree, const PickleLimits& limits) {
  return PickleMachine(reader, tree, limits).run();
}

}  // namespace batchscope::models
