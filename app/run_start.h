#pragma once

#include "app/run_preparation.h"

#include <filesystem>
#include <string>
#include <vector>

namespace batchscope::app {

/// Trains prepared runs, each under a supervisor of its own (`batchscope-engine train --resume`),
/// one after another or all at once, and waits for them. What they say goes to our stderr, or to
/// logs/train.log in their folders when they train at once. SIGINT, SIGTERM and SIGHUP are passed
/// on to those that train; the others stay prepared. Returns 130 after a signal, else the first
/// exit code that is not 0: one that diverges does not keep the next from training. Main thread
/// only.
int train_prepared(const std::vector<PreparedRun>& runs,
                   const std::filesystem::path& library,
                   const std::string& device,
                   bool at_once);

}  // namespace batchscope::app
