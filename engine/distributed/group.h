#pragma once

#include "engine/distributed/activity.h"
#include "engine/distributed/launch_env.h"

#include <torch/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace batchscope::train {

/// A communicator over c10d (Gloo on the CPU, NCCL under CUDA). A world of one communicates with
/// nobody through the same code. Collectives are called from the training thread only, in the same
/// order on all ranks. A peer that is lost or silent for longer than the timeout makes every call
/// throw contract::PeerError. With more than one rank the process ignores SIGPIPE from create() on,
/// unless it has a handler for it: Gloo writes to sockets of peers that may be dead.
class Group {
 public:
  /// The ranks have the timeout to meet, too.
  static std::shared_ptr<Group> create(const LaunchEnv& env,
                                       const torch::Device& device,
                                       std::chrono::seconds timeout = std::chrono::seconds(60));
  virtual ~Group() = default;
  virtual std::int64_t rank() const = 0;
  virtual std::int64_t size() const = 0;
  /// In place, sum over the ranks.
  virtual void all_reduce_sum(torch::Tensor& tensor) = 0;
  virtual void broadcast(torch::Tensor& tensor, std::int64_t root) = 0;
  /// Bytes from root to all.
  virtual std::string broadcast_bytes(const std::string& bytes, std::int64_t root) = 0;
  /// Everyone's bytes, by rank, on every rank.
  virtual std::vector<std::string> all_gather_bytes(const std::string& bytes) = 0;
  virtual void barrier() = 0;
  /// Another timeout of the collectives to come, and of parts that are made later.
  virtual void set_timeout(std::chrono::milliseconds timeout) = 0;
  /// A communicator of the ranks first … first + count - 1, this one among them, beside this one:
  /// its collectives have an order of their own. All of those ranks call it together.
  virtual std::shared_ptr<Group> subgroup(std::int64_t first, std::int64_t count) = 0;
  /// A way to tell what the ranks do, across machines and beside the collectives: called about once
  /// a second on every rank, on rank 0 it gives what all do, elsewhere nothing. It throws when the
  /// job is over. To be used by one thread.
  virtual std::function<std::vector<RankActivity>()> activities() = 0;
};

}  // namespace batchscope::train
