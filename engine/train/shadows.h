#pragma once

#include "engine/contract/records.h"
#include "engine/contract/run_spec.h"
#include "optim/schedule.h"
#include "optim/shadow.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace batchscope::train {

/// The shadow optimizers of a run ([[optim.shadow]]): their labels, settings and curves around
/// optim::Shadows. The gradients are the same on all ranks, so one rank keeps them. Training thread
/// only.
class ShadowSet {
 public:
  using PlanOf = std::function<contract::ResolvedPlan(const contract::RunSpec&)>;
  using Named = std::vector<std::pair<std::string, torch::Tensor>>;

  ShadowSet(const std::vector<optim::Parameter>& parameters, std::vector<std::string> modules);

  /// Makes the shadows those of the spec: new ones and those of another method begin without
  /// history, the others keep their state and take their new settings, the rest go.
  void follow(const contract::RunSpec& spec, const PlanOf& plan_of);
  bool empty() const { return members_.empty(); }

  /// Feeds them, before the real update. images: pictures consumed so far, for the schedule; mu:
  /// AGVM's factors. `compare`: values() will be asked for this update.
  void advance(const std::vector<torch::Tensor>& grads,
               const optim::Schedule& schedule,
               std::int64_t images,
               const std::vector<double>& mu,
               bool compare);
  /// After the real update: appends what it measured to a row of the run, update norm, cosine and
  /// effective learning rate of every shadow and module, and `shadow_ms`.
  void record(contract::StepRecord& row, contract::TelemetrySink& sink);
  /// Milliseconds that they have taken since the last call.
  double take_ms();

  /// States by label, views that the next update changes; load() takes those that it finds and
  /// begins the others without history.
  Named save() const;
  void load(const Named& state);
  /// "2 shadow optimizers (lamb, adamw): 1.2 MB of state, 0.9 MB while they are compared."
  std::string sentence() const;
  std::int64_t state_bytes() const { return shadows_.state_bytes(); }
  std::int64_t scratch_bytes() const { return shadows_.scratch_bytes(); }

 private:
  struct Curves {
    std::vector<std::int32_t> update, cosine, lr;
  };
  struct Member {
    std::string label;
    optim::Method method;
    double lr = 0;  // base rate
    Curves curves;  // empty until the first row
  };
  Curves declare(const std::string& label, contract::TelemetrySink& sink) const;

  std::vector<std::string> modules_;
  optim::Shadows shadows_;
  std::vector<Member> members_;
  std::vector<optim::ShadowReport> reports_;
  std::int32_t ms_series_ = -1;
  double step_ms_ = 0, spent_ms_ = 0;
};

}  // namespace batchscope::train
