#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>

namespace batchscope::app {

/// What is wrong with the content of a saved state, in one sentence; empty: nothing.
using StateCheck = std::function<std::string(const std::filesystem::path&)>;

/// Adds `runs list|show|watch|export|check|rm|import|diff`, each with --library, and returns the
/// `runs` subcommand, so that others can be added to it. They run while `app` parses, write to
/// `out`, and throw contract::Error. `runs check` of a damaged file or state and `diff` of
/// different runs are told by their text and, for check, a StorageError (exit code 4). `check`
/// looks into states with `problem_of`, if there is one.
CLI::App* add_runs_commands(CLI::App& app, std::ostream& out, StateCheck problem_of = {});

}  // namespace batchscope::app
