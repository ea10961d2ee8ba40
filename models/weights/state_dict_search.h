#pragma once

#include "models/weights/pickle_tree.h"

#include <string>
#include <utility>
#include <vector>

namespace batchscope::models {

/// The tensors of a model in a pickle.
struct StateDict {
  std::string path;                                        // keys joined by dots; "" the root
  std::vector<std::pair<std::string, PickleRef>> tensors;  // by name, in order
  std::vector<std::string> skipped;                        // names in it that are no tensors
  std::vector<std::string> others;                         // what lies beside it
  std::vector<std::string> other_sets;                     // paths of weights of its kind
  std::vector<std::pair<std::string, std::int64_t>> versions;
};

/// Finds the state_dict: below a key that trainers use for it (model, state_dict, …), else where
/// most tensors are; with a `key`, such as "model_ema" or "ema.module", there or below alone. A
/// pickled module counts as its parameters and buffers, by torch's names. Without tensors the
/// result is empty.
StateDict find_state_dict(const PickleTree& tree, PickleRef root, const std::string& key);

/// The paths of all weights within a pickle; the state of an optimizer is not of them.
std::vector<std::string> weight_sets(const PickleTree& tree, PickleRef root);

/// A node in few words: "dict", "12", "argparse.Namespace".
std::string describe(const PickleTree& tree, PickleRef ref);

}  // namespace batchscope::models
