#pragma once

#include "engine/distributed/activity.h"
#include "engine/distributed/group.h"

#include <chrono>
#include <vector>

namespace batchscope::train {

/// Call once, early in a rank's main thread: from then on SIGTERM and SIGINT are requests to stop
/// instead of an end, SIGPIPE is ignored, and, under our supervisor, its death is such a request
/// too, after which the process is ended with code 5 if it has not done so within `limit`; and what
/// it does (activity.h) is seen by the supervisor.
void watch_rank(const LaunchEnv& env, std::chrono::milliseconds limit = std::chrono::seconds(10));

/// What each rank of this machine does, where our supervisor gave a board; else what this process
/// does.
std::vector<RankActivity> activities_here();

/// While it lives a request to stop ends the process with a sentence and code 130: the ranks have
/// not met yet, there is nobody to agree with and nothing to save.
class StoppableStart {
 public:
  StoppableStart();
  ~StoppableStart();
  StoppableStart(const StoppableStart&) = delete;
  StoppableStart& operator=(const StoppableStart&) = delete;
};

/// Requests to stop so far: 0 none, 1 stop and save, 2 or more stop now. All ranks agree on what
/// comes of it. Any thread; costs nothing.
int stop_requests();

/// Whether our supervisor has died. Any thread; costs nothing.
bool supervisor_gone();

}  // namespace batchscope::train
