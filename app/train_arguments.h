#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace batchscope::app {

/// What `train` was asked for.
struct TrainArguments {
  /// device: "auto" is the one that the run had, or cuda where this machine has one, else cpu.
  std::string spec, resume, device = "auto";
  std::vector<std::string> sets;  // key=value
  std::int64_t ranks = 0;         // 0: as the spec says
  std::int64_t max_restarts = 0;
  std::filesystem::path library;
  // For the processes that the supervisor starts.
  std::filesystem::path run_folder;  // exists, with spec.toml
  std::filesystem::path from;        // checkpoint
  bool goes_on = false;              // a run that has a record already
  std::string because;               // for the event of a run that goes on
};

}  // namespace batchscope::app
