#include "app/allocator.h"
#include "app/bench_eval.h"
#include "app/bench_optim.h"
#include "app/bench_step.h"
#include "app/engine_commands.h"
#include "app/launcher_error.h"
#include "app/leave.h"
#include "app/runs_commands.h"
#include "app/state_check.h"
#include "app/terminal_text.h"
#include "engine/contract/error.h"
#include "models/weights/weight_error.h"

#include <CLI/CLI.hpp>
#include <iostream>

using namespace batchscope;

namespace {

int failed(const std::string& sentence, contract::ExitCode code) {
  app::tell_launcher(sentence);
  std::cerr << "batchscope-engine: " << app::printable_lines(sentence) << "\n";
  return static_cast<int>(code);
}

int run(int argc, char** argv) {
  keep_freed_memory();
  CLI::App app("Trains and evaluates detectors, and steers trainings that run.",
               "batchscope-engine");
  app.set_version_flag("--version", std::string("batchscope-engine ") + app::kEngineVersion);
  app.require_subcommand(1);
  int exit_code = 0;
  app::add_train_command(app, exit_code);
  app::add_eval_command(app);
  app::add_predict_command(app);
  app::add_metrics_command(app);
  app::add_data_command(app);
  app::add_control_command(app, exit_code);
  app::add_spec_command(app);
  app::add_optim_command(app);
  app::add_weights_command(app);
  app::add_fork_commands(*app::add_runs_commands(app, std::cout, app::state_problem), exit_code);
  app::add_doctor_command(app, exit_code);
  CLI::App* bench = app.add_subcommand("bench", "Measure this machine");
  bench->require_subcommand(1);
  add_bench_step(*bench);
  add_bench_optim(*bench);
  add_bench_eval(*bench);
  try {
    app.parse(argc, argv);
    return exit_code;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(contract::ExitCode::kUsage);
  } catch (const contract::Error& error) {
    return failed(error.what(), error.code());
  } catch (const models::WeightError& error) {
    return failed(error.what(), contract::ExitCode::kData);
  } catch (const models::DiskError& error) {
    return failed(error.what(), contract::ExitCode::kStorage);
  } catch (const std::invalid_argument& error) {
    return failed(error.what(), contract::ExitCode::kUsage);
  } catch (const std::exception& error) {
    return failed(error.what(), contract::ExitCode::kData);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int code = run(argc, argv);
  std::cout.flush();
  std::cerr.flush();
  leave(code);
}
