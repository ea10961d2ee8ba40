#include "models/module_groups.h"

#include <algorithm>
#include <stdexcept>

namespace batchscope::models {

std::vector<ModuleGroup> group_parameters(const torch::nn::Module& module,
                                          const std::vector<GroupRule>& rules) {
  std::vector<ModuleGroup> groups;
  groups.reserve(rules.size());
  for (const GroupRule& rule : rules) {
    groups.push_back({rule.name, {}, {}});
  }
  for (const auto& item : module.named_parameters(/*recurse=*/true)) {
    if (!item.value().requires_grad()) {
      continue;
    }
    std::size_t owners = 0;
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const auto& prefixes = rules[i].prefixes;
      if (std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& p) {
            return item.key().rfind(p, 0) == 0;
          })) {
        ++owners;
        groups[i].parameter_names.push_back(item.key());
        groups[i].parameters.push_back(item.value());
      }
    }
    if (owners != 1) {
      throw std::logic_error("module groups: parameter " + item.key() + " is in " +
                             std::to_string(owners) + " groups instead of 1");
    }
  }
  std::erase_if(groups, [](const ModuleGroup& group) { return group.parameters.empty(); });
  return groups;
}

}  // namespace batchscope::models
