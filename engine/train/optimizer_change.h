#pragma once

#include "engine/contract/messages.h"
#include "engine/contract/run_spec.h"
#include "optim/optimizer.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace batchscope::train {

/// An optimizer command worked out: the spec that it leads to, and what changes.
struct OptimizerChange {
  contract::RunSpec spec;
  optim::Options from, to;
  double lr_from = 0, lr_to = 0;
  double shrink_from = 0, shrink_to = 0;  // of the weights per update, by decay
  bool same_method = false;
  bool optimizer_changes = false;  // more than AGVM
};

/// A change and, unless only AGVM changes, the optimizer that takes over.
struct PlannedChange {
  OptimizerChange change;
  std::unique_ptr<optim::Optimizer> next;
};

using OptionsOf = std::function<optim::Options(const contract::RunSpec&)>;
using LrOf = std::function<double(const contract::RunSpec&)>;

/// Pure: nothing is changed. trust_from: mean trust ratio of the last update (1 where the method
/// has none). trust_to: the new method's first trust ratio, estimated by the caller from the
/// carried state. Throws contract::SpecError naming the argument at fault.
OptimizerChange plan_optimizer_change(const contract::RunSpec& spec,
                                      const contract::OptimizerCommand& command,
                                      const OptionsOf& options_of,
                                      const LrOf& lr_of,
                                      double trust_from,
                                      double trust_to);

/// Mean trust ratio, weighted by size, that LARS or a LAMB-family optimizer would use first with
/// the state it carries; 1 where a method has none.
double estimated_trust(const optim::Optimizer& carried,
                       const std::vector<optim::Parameter>& parameters);

/// A table for a person: old and new of everything that changes.
std::string describe(const OptimizerChange& change, const contract::OptimizerCommand& command);

}  // namespace batchscope::train
