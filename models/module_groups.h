#pragma once

#include "models/detector.h"

#include <string>
#include <vector>

namespace batchscope::models {

/// A module group and the beginnings of its parameters' names.
struct GroupRule {
  std::string name;
  std::vector<std::string> prefixes;
};

/// Sorts the trainable parameters of a module into groups, in the order of the rules and, within a
/// group, of registration. Throws std::logic_error when a trainable parameter fits no rule or two.
/// A group without a trainable parameter is left out.
std::vector<ModuleGroup> group_parameters(const torch::nn::Module& module,
                                          const std::vector<GroupRule>& rules);

}  // namespace batchscope::models
