#pragma once

#include "app/run_origin.h"
#include "engine/contract/messages.h"

#include <filesystem>

namespace batchscope::app {

/// Sends one command to a run that trains and waits for its reply; `socket`: where the run's
/// control socket was brought to from another machine, empty: where it says itself. Throws
/// contract::PeerError when nobody listens or answers in time, or the run is another machine's,
/// SpecError when it was refused.
contract::Reply call_run(const std::filesystem::path& folder,
                         const contract::CommandBody& body,
                         double timeout_seconds,
                         const std::string& socket = {});

/// True if some process says that it trains this run.
bool run_listens(const std::filesystem::path& folder);

/// The newest point of a run: of one that trains, a checkpoint that it is asked for; else the last
/// update whose state is saved, or the last one. Throws contract::Error.
RunOrigin newest_origin(const std::filesystem::path& run, double timeout_seconds);

}  // namespace batchscope::app
