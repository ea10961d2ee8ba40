#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

namespace batchscope::app {

/// The run that `control` speaks of, and how it answers.
struct ControlTarget {
  std::string run;
  std::filesystem::path library;
  double timeout = 60;
  bool json = false;
};

/// Adds `fan` to `control`: short probes at several learning rates from a point of a run that
/// trains or is stored, a table of them (or JSON), and one of them applied.
void add_fan_command(CLI::App& control,
                     const std::shared_ptr<ControlTarget>& target,
                     int& exit_code);

}  // namespace batchscope::app
