#pragma once

#include "engine/contract/messages.h"
#include "engine/contract/run_spec.h"
#include "engine/data/dataset.h"
#include "engine/train/training_setup.h"
#include "models/detector.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::train {

/// A learning rate to try: a base rate, or a factor on the run's own.
struct FanRate {
  bool relative = false;
  double value = 0;
  bool operator==(const FanRate&) const = default;
};
/// "0.01,0.02", "x0.5,x2", "x2^-2..2" (2^-2, 2^-1 … 2^2 times the run's rate) and "x2^-2..2/0.5"
/// (in steps of half an octave), or several of them with commas. Throws contract::SpecError.
std::vector<FanRate> parse_fan_rates(const std::string& text);

/// A method to try: "sgd", "sgd+clip" (L2 clipping at 1), "sgd+clip=0.5", "lamb+agvm". What is not
/// named is off. An empty name is the run's method as it is set.
struct FanMethod {
  std::string label, name;
  double clip_norm = 0;
  bool agvm = false;
  bool operator==(const FanMethod&) const = default;
};
/// Names with commas; empty: the run's own method. Throws contract::SpecError.
std::vector<FanMethod> parse_fan_methods(const std::string& text);

/// One short training.
struct FanProbe {
  FanMethod method;
  double lr = 0;                       // base rate
  std::optional<std::int64_t> seed;    // of the pictures; none: the run's own
  contract::OptimizerCommand command;  // that "use this" sends: what the probe did at its start
};
/// Every method with every rate and every seed (none: the run's own); rates ascending within a
/// method. base_lr: the run's.
std::vector<FanProbe> fan_probes(const std::vector<FanMethod>& methods,
                                 const std::vector<FanRate>& rates,
                                 const std::vector<std::int64_t>& seeds,
                                 double base_lr);

/// What a probe shows.
struct FanVerdict {
  bool survives = false;
  std::string why;          // it does not; empty otherwise
  double start_loss = 0;    // the loss of the first update, before the probe's rate had any effect
  double end_loss = 0;      // mean over the last third
  double highest_loss = 0;  // of all updates; NaN counts as infinite
  double fall = 0;          // (start - end) per 1,000 pictures
};
/// Pure. A probe fails when it diverged (`ended`: the guard's sentence), when a loss is not finite
/// or above kFanSpike times the start, or when the last third is above kFanLevel times it.
FanVerdict judge_probe(const std::vector<double>& losses,
                       const std::string& ended,
                       double pictures_per_update);
inline constexpr double kFanSpike = 3, kFanLevel = 1.1;

struct FanResult {
  FanProbe probe;
  FanVerdict verdict;
  std::vector<double> losses;
  double first_lr = 0, last_lr = 0;  // scheduled rate of the first and last update
  double seconds = 0;
};

/// Where a method stops training.
struct FanEdge {
  std::string label;
  double highest_surviving = 0;  // below the lowest failing one; 0: none
  double lowest_failing = 0;     // 0: none failed
  double edge = 0;               // their geometric mean; 0 where one of them is missing
};
/// A rate survives when more than half of its seeds do. One entry per method, in their order.
std::vector<FanEdge> fan_edges(const std::vector<FanResult>& results);

struct FanSetup {
  contract::RunSpec spec;  // of the run, as it is at the point
  ResumePoint point;       // a fork's
  std::shared_ptr<const Dataset> training_set;
  std::function<std::shared_ptr<models::Detector>()> make_model;  // called under a lock
  torch::Device device = torch::kCPU;
  std::int64_t steps = 30;        // updates of a probe
  std::int64_t workers = 1;       // probes at a time
  std::filesystem::path scratch;  // an empty folder for the state that the probes start from
  std::function<void(std::size_t index, const FanResult&)> done;  // one call at a time
};
/// Trains the probes, each from the same state with the run's own schedule scaled to its rate, as
/// the run itself would go on after its command. No evaluation, no record, no checkpoint; scripted
/// events of the run are left out. Throws contract::Error.
std::vector<FanResult> run_fan(const FanSetup& setup, const std::vector<FanProbe>& probes);

}  // namespace batchscope::train
