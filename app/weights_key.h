#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace batchscope::app {

/// --weights-key, of every command that reads a weight file.
inline CLI::Option* add_weights_key(CLI::App& command, std::string& key) {
  return command.add_option("--weights-key",
                            key,
                            "Which weights of a file that holds several: model_ema, ema.module; "
                            "none: model, state_dict, … as trainers have them");
}

/// `sets` with the key as model.weights_key.
inline std::vector<std::string> with_weights_key(std::vector<std::string> sets,
                                                 const std::string& key) {
  if (!key.empty()) {
    sets.push_back("model.weights_key=" + key);
  }
  return sets;
}

}  // namespace batchscope::app
