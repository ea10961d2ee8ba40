#pragma once

#include "app/train_arguments.h"
#include "engine/contract/run_spec.h"
#include "engine/distributed/group.h"
#include "storage/run_lock.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::app {

/// What one rank is to train.
struct RankTask {
  contract::RunSpec spec;
  std::filesystem::path folder;          // of the run; only rank 0 needs to reach it
  std::filesystem::path from;            // checkpoint to go on from, or empty
  bool goes_on = false;                  // a run that has a record already
  std::vector<std::string> sets;         // of a run that goes on: key=value, as commands
  std::string because;                   // for the event of a run that goes on
  std::optional<storage::RunLock> lock;  // rank 0's, where it did not inherit it
  int refusal = 0;                       // exit code of rank 0's refusal
};

/// Rank 0's task on every rank, without its lock; or, with `failure`, its refusal as an error on
/// all.
RankTask share_task(train::Group& group, RankTask task, const std::string& failure);

/// Trains as one rank: joins the group, asks for its task, trains to the end. Returns the exit
/// code.
int train_as_rank(const TrainArguments& arguments,
                  const std::function<RankTask(train::Group&)>& task_of);

}  // namespace batchscope::app
