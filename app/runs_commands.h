#pragma once

#include <CLI/CLI.hpp>
#include <ostream>

namespace batchscope::app {

/// Adds `runs list|show|watch|export|check|rm|import|diff`, each with --library, and returns the
/// `runs` subcommand, so that others can be added to it. They run while `app` parses, write to
/// `out`, and throw contract::Error. `runs check` of a damaged file and `diff` of different runs
/// are told by their text and, for check, a StorageError (exit code 4).
CLI::App* add_runs_commands(CLI::App& app, std::ostream& out);

}  // namespace batchscope::app
