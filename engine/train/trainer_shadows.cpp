#include "engine/train/plan_options.h"
#include "engine/train/trainer.h"

#include <algorithm>

namespace batchscope::train {

void Trainer::build_shadows() {
  if (setup_.group->rank() == 0) {
    shadows_ = std::make_unique<ShadowSet>(updater_->parameters(), updater_->modules());
    follow_shadows();
  }
}

void Trainer::follow_shadows() {
  if (shadows_ != nullptr) {
    shadows_->follow(state_.spec,
                     [this](const contract::RunSpec& spec) { return updater_->plan_for(spec); });
  }
}

void Trainer::note_shadows() {
  if (shadows_ != nullptr && !shadows_->empty()) {
    note("shadow",
         "engine",
         shadows_->sentence(),
         {{"state_bytes", std::to_string(shadows_->state_bytes())},
          {"scratch_bytes", std::to_string(shadows_->scratch_bytes())}});
  }
}

void Trainer::feed_shadows(const StepGradients& gradients) {
  if (shadows_ == nullptr || shadows_->empty()) {
    return;
  }
  const bool compare = record_.listens() && (state_.step + 1) % module_interval_ == 0;
  shadows_->advance(gradients.mean, updater_->schedule(), state_.images, agvm().mu(), compare);
  shadows_fed_ = true;
}

contract::Reply Trainer::change_shadow(const contract::ShadowCommand& c,
                                       const std::string& source) {
  contract::RunSpec spec = state_.spec;
  std::vector<contract::ShadowSpec>& list = spec.optim.shadow;
  const bool add = c.action == contract::ShadowAction::kAdd;
  std::string label = c.label;
  if (add) {
    list.push_back(contract::make_shadow(c.name, c.label, c.set));
    label = list.back().label;
    contract::validate(spec);
    const contract::RunSpec own = contract::shadow_spec(spec, list.back());
    optim::check_options(optimizer_options(own, updater_->plan_for(own)));
  } else if (std::erase_if(list, [&](const auto& shadow) { return shadow.label == label; }) == 0) {
    throw contract::SpecError("label", "There is no shadow optimizer \"" + label + "\".");
  }
  updater_->use_spec(spec);
  follow_shadows();
  auto args = contract::command_args(c);
  args["label"] = label;
  const std::string memory = shadows_ != nullptr ? shadows_->sentence() : "";
  note("shadow",
       source,
       (add ? "Shadow optimizer " + label + " begins. " : "Shadow optimizer " + label + " ends. ") +
           memory,
       args);
  return done(memory);
}

}  // namespace batchscope::train
