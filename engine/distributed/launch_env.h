#pragma once

#include <cstdint>
#include <string>

namespace batchscope::train {

/// Who this process is in a job.
struct LaunchEnv {
  std::int64_t rank = 0, world = 1;
  std::int64_t local_rank = 0, local_world = 1;  // among the ranks of this machine
  std::string master_address = "127.0.0.1";
  std::int64_t master_port = 0;
  bool external = false;     // started by torchrun or Slurm: rank variables were set
  bool supervised = false;   // started by our supervisor: rank variables were set by it
  bool agent_store = false;  // torchrun's agent listens at master_port, whatever attempt this is
  std::string job;           // torchrun's run id, or Slurm's job and step; may be empty
  std::int64_t attempt = 0;  // how often torchrun, or a requeued job, has started the ranks again
  int store_fd = -1;         // rank 0 under our supervisor: the listening socket at master_port
  int lock_fd = -1;          // rank 0 under our supervisor: the run's lock, if it holds one
};

/// Reads RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT and torchrun's
/// TORCHELASTIC_*, else Slurm's variables of a step; none set: one process, not external. Throws
/// contract::SpecError naming the variable that is malformed or missing, and where mpirun has
/// started several processes that would not know of each other.
LaunchEnv launch_env();

/// First host of Slurm's compressed list: "rack[1-2]n[07-12]-ib,x" gives "rack1n07-ib".
std::string first_host(const std::string& list);
/// Tasks on node number `node` of Slurm's list of counts: "2(x3),1" is 2, 2, 2, 1. 0: not in it.
std::int64_t tasks_on_node(const std::string& counts, std::int64_t node);

}  // namespace batchscope::train
