#pragma once

#include "app/run_settings.h"
#include "app/train_arguments.h"
#include "engine/contract/run_spec.h"

#include <CLI/CLI.hpp>

namespace batchscope::app {

inline constexpr const char* kEngineVersion = BATCHSCOPE_VERSION;

// Each adds one command, which runs while `app` parses, leaves by exception (contract::Error) when
// it fails, and writes its exit code.
void add_train_command(CLI::App& app, int& exit_code);
void add_eval_command(CLI::App& app);
void add_predict_command(CLI::App& app);
void add_metrics_command(CLI::App& app);
void add_data_command(CLI::App& app);
void add_control_command(CLI::App& app, int& exit_code);
void add_spec_command(CLI::App& app);
void add_optim_command(CLI::App& app);
void add_weights_command(CLI::App& app);
/// Not 0 when a kernel failed.
void add_doctor_command(CLI::App& app, int& exit_code);
/// Adds `fork` and `rerun` to the subcommand `runs`.
void add_fork_commands(CLI::App& runs, int& exit_code);

}  // namespace batchscope::app
