#pragma once

#include "models/weights/byte_reader.h"
#include "models/weights/pickle_tree.h"

namespace batchscope::models {

/// Bounds of what one file may ask for. Far above real checkpoints (a Mask R-CNN with its optimizer
/// has 60,000 opcodes), far below what hurts.
struct PickleLimits {
  std::uint64_t work = 500'000;     // opcodes
  std::uint64_t text = 16U << 20;   // bytes of one string
  std::uint64_t bytes = 64U << 20;  // of all pickles
  std::size_t depth = 200;          // containers inside one another
  std::size_t stack = 200'000;      // values, marks
  std::uint64_t global = 256;       // bytes of a global's name
};

/// Reads one pickle into `tree` and returns its root. Runs no code and looks no name up: containers
/// become nodes, OrderedDict and defaultdict dicts, torch.Size and tuple tuples,
/// torch.jit._pickle.restore_type_tag its argument; every other call becomes an opaque node.
/// Understands protocols 2 to 5 of binary pickles, as torch.save writes them. Throws WeightError:
/// truncated, malformed, over a limit, a container that contains itself.
/// Source: the opcodes' descriptions in CPython's pickletools.
PickleRef unpickle(ByteReader& reader, PickleTree& tree, const PickleLimits& limits = {});

}  // namespace batchscope::models
