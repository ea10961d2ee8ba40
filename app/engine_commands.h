#pragma once

#include "engine/contract/run_spec.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

namespace batchscope::app {

inline constexpr const char* kEngineVersion = BATCHSCOPE_VERSION;

/// What `train` was asked for.
struct TrainArguments {
  std::string spec, resume, device = "cpu";
  std::vector<std::string> sets;  // key=value
  std::int64_t ranks = 0;         // 0: as the spec says
  std::filesystem::path library;
  // For the processes that the supervisor starts.
  std::filesystem::path run_folder;  // exists, with spec.toml
  std::filesystem::path from;        // checkpoint
  bool goes_on = false;              // a run that has a record already
};

// Each adds one command, which runs while `app` parses, leaves by exception (contract::Error) when
// it fails, and writes its exit code.
void add_train_command(CLI::App& app, int& exit_code);
void add_eval_command(CLI::App& app);
void add_control_command(CLI::App& app, int& exit_code);
void add_spec_command(CLI::App& app);
void add_optim_command(CLI::App& app);
/// Not 0 when a kernel failed.
void add_doctor_command(CLI::App& app, int& exit_code);

/// One rank of a training, in this process. `arguments.run_folder` is rank 0's; it may be empty on
/// the others.
int train_as_rank(const TrainArguments& arguments, const contract::RunSpec& spec);

/// Applies "key=value" texts to a spec. Throws contract::SpecError.
void apply_sets(contract::RunSpec& spec, const std::vector<std::string>& sets);

}  // namespace batchscope::app
