#pragma once

#include "engine/train/lr_fan.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::app {

/// What `control RUN fan` says.
struct FanReport {
  std::string run;
  std::int64_t step = 0, updates = 0;
  double base_lr = 0, seconds = 0;  // the run's base rate; wall time of the whole fan
  std::vector<train::FanResult> results;
  std::vector<train::FanEdge> edges;
};

/// The probe that `--use` names: its number in the table (from 1), or "best", the surviving one
/// whose loss falls fastest. Throws contract::SpecError.
const train::FanResult& chosen_probe(const FanReport& report, const std::string& use);
/// The command that applies a probe to its run.
std::string command_line(const std::string& run, const train::FanResult& result);
/// One probe in a few words.
std::string probe_line(const train::FanResult& result);
std::string fan_text(const FanReport& report);
/// {"run", "step", "base_lr", "updates", "seconds", "criterion", "probes": [{"number", "optim",
/// "lr", "seed", "survives", "why", "start_loss", "end_loss", "highest_loss", "fall", "losses",
/// "seconds", "command"}], "edges": [{"optim", "highest_surviving", "lowest_failing", "edge"}]}.
/// Numbers that are not finite or not known are null.
nlohmann::json fan_json(const FanReport& report);

}  // namespace batchscope::app
