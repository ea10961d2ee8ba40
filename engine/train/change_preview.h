#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::train {

/// What one update does to a module.
struct ModuleUpdate {
  double norm = 0;    // L2 norm of the change of the weights
  double lr = 0;      // scheduled rate times AGVM's factor and the ramp's
  double trust = 1;   // mean ratio
  double shrink = 0;  // of the weights by decay
};

/// What an optimizer change would do first, before it is made: the update that the present
/// optimizer and the one that takes over would make of the same gradient.
struct ChangePreview {
  struct Module {
    std::string name;
    ModuleUpdate before, after;
    double factor = 1;  // on the new rate in the first update, by the learning-rate mapping
  };
  bool optimizer_changes = false;
  bool gradient_known = false;  // there is a mean recent gradient to stand in for the next one
  std::vector<Module> modules;
  std::int64_t state_floats_before = 0, state_floats_after = 0;  // per parameter
  std::int64_t state_bytes_before = 0, state_bytes_after = 0;
};

/// A table for a person.
std::string describe(const ChangePreview& preview);

}  // namespace batchscope::train
