#include "engine/train/optimizer_change.h"

#include "engine/contract/error.h"
#include "engine/train/number_text.h"
#include "optim/kernels/update_math.h"
#include "optim/switching.h"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace batchscope::train {
namespace {

void add_row(std::string& table,
             const std::string& what,
             const std::string& a,
             const std::string& b) {
  char line[160];
  std::snprintf(line, sizeof line, "%-24s %-16s -> %s\n", what.c_str(), a.c_str(), b.c_str());
  table += line;
}

contract::RunSpec changed_spec(const contract::RunSpec& spec,
                               const contract::OptimizerCommand& command) {
  contract::RunSpec next = spec;
  for (const auto& [key, value] : command.set) {
    if (!key.starts_with("optim.")) {
      throw contract::SpecError(key,
                                key +
                                    " cannot be set by an optimizer switch: expected a key of "
                                    "[optim], such as optim.momentum.");
    }
    contract::set_value(next, key, value);
  }
  if (command.name) {
    contract::set_value(next, "optim.name", *command.name);
  }
  if (command.agvm) {
    next.optim.agvm.enabled = *command.agvm;
  }
  if (command.lr || command.set.contains("optim.lr")) {
    // The rate is given for the batch in force: no rule scales it again.
    next.optim.lr = command.lr.value_or(next.optim.lr);
    next.optim.lr_rule = "none";
  }
  contract::validate(next);
  return next;
}

}  // namespace

namespace {

/// First trust ratio of one tensor with the state that is carried; 0: it has none.
double first_trust(const optim::Options& options,
                   const torch::Tensor& w,
                   const optim::CanonicalState& state) {
  if ((options.exclude_1d && w.dim() <= 1) || !state.mhat.defined()) {
    return 0;
  }
  const auto weight = w.norm(2, torch::kDouble).item<double>();
  if (options.method == optim::Method::kLars) {
    return optim::math::lars_ratio(options.trust_coefficient,
                                   weight,
                                   state.mhat.norm(2, torch::kDouble).item<double>(),
                                   options.lars_decay_in_ratio ? options.weight_decay : 0.0,
                                   options.eps);
  }
  if (!state.vhat.defined()) {
    return 0;
  }
  const auto u =
      (state.mhat / (state.vhat.sqrt() + options.eps)).norm(2, torch::kDouble).item<double>();
  const double ratio = u > 0 ? weight / u : 1;
  return options.trust_clamp && ratio > 0 ? std::clamp(ratio, options.trust_min, options.trust_max)
                                          : ratio;
}

}  // namespace

double estimated_trust(const optim::Optimizer& carried,
                       const std::vector<optim::Parameter>& parameters) {
  const torch::NoGradGuard no_grad;
  const optim::Options& options = carried.options();
  if (options.method == optim::Method::kSgd || options.method == optim::Method::kAdamW) {
    return 1;
  }
  const auto state = carried.canonical();
  double sum = 0, elements = 0;
  for (std::size_t p = 0; p < parameters.size() && p < state.size(); ++p) {
    const double ratio = first_trust(options, parameters[p].tensor, state[p]);
    if (ratio > 0 && std::isfinite(ratio)) {
      const auto n = static_cast<double>(parameters[p].tensor.numel());
      sum += n * ratio;
      elements += n;
    }
  }
  return elements > 0 ? sum / elements : 1;
}

OptimizerChange plan_optimizer_change(const contract::RunSpec& spec,
                                      const contract::OptimizerCommand& command,
                                      const OptionsOf& options_of,
                                      const LrOf& lr_of,
                                      double trust_from,
                                      double trust_to) {
  OptimizerChange change;
  change.spec = changed_spec(spec, command);
  change.from = options_of(spec);
  change.to = options_of(change.spec);
  change.lr_from = lr_of(spec);
  change.lr_to = lr_of(change.spec);
  change.same_method = change.from.method == change.to.method;
  const bool given = command.set.contains("optim.weight_decay");
  if (!change.same_method && !given && command.decay_mapping == contract::DecayMapping::kMatch) {
    const double matched = optim::matched_weight_decay(
        change.from, change.lr_from, trust_from, change.to, change.lr_to, trust_to);
    if (std::isfinite(matched) && matched >= 0) {
      change.spec.optim.weight_decay = matched;
    }
  } else if (!change.same_method && !given &&
             command.decay_mapping == contract::DecayMapping::kTarget) {
    change.spec.optim.weight_decay = contract::OptimSection{}.weight_decay;
  }
  change.to = options_of(change.spec);
  change.shrink_from = optim::shrink_per_step(change.from, change.lr_from, trust_from);
  change.shrink_to = optim::shrink_per_step(change.to, change.lr_to, trust_to);
  contract::OptimSection without_agvm = change.spec.optim;
  without_agvm.agvm = spec.optim.agvm;
  change.optimizer_changes = !(without_agvm == spec.optim);
  return change;
}

std::string describe(const OptimizerChange& change, const contract::OptimizerCommand& command) {
  std::string table;
  add_row(
      table, "optimizer", optim::to_string(change.from.method), optim::to_string(change.to.method));
  add_row(table, "learning rate", number_text(change.lr_from, 4), number_text(change.lr_to, 4));
  add_row(table,
          "weight decay",
          number_text(change.from.weight_decay, 4),
          number_text(change.to.weight_decay, 4));
  add_row(table,
          "shrink per update",
          number_text(change.shrink_from, 4),
          number_text(change.shrink_to, 4));
  for (const auto& [key, value] : command.set) {
    add_row(table, key, "", value);
  }
  table += "state: " + contract::to_string(command.state) +
           ", learning rate: " + contract::to_string(command.lr_mapping) +
           ", decay: " + contract::to_string(command.decay_mapping) +
           ", agvm: " + (change.spec.optim.agvm.enabled ? "on" : "off") + "\n";
  return table;
}

}  // namespace batchscope::train
