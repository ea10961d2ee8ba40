#include "engine/contract/error.h"
#include "engine/distributed/group.h"

#include <charconv>
#include <cstdlib>
#include <limits>
#include <optional>

namespace batchscope::train {
namespace {

std::optional<std::string> variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') {
    return std::nullopt;
  }
  return std::string(value);
}

std::int64_t integer(const std::string& name, std::int64_t low, std::int64_t high) {
  const auto text = variable(name);
  if (!text) {
    throw contract::SpecError(
        name, "the environment has variables of a rank but not " + name + "; a launcher sets all");
  }
  std::int64_t value = 0;
  const char* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || stop != end || value < low || value > high) {
    throw contract::SpecError(name,
                              name + " is \"" + *text + "\"; expected an integer from " +
                                  std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

constexpr std::int64_t kMaxWorld = 1 << 20;

void read_ranks(LaunchEnv& env,
                const std::string& rank,
                const std::string& world,
                const std::string& local) {
  env.world = integer(world, 1, kMaxWorld);
  env.rank = integer(rank, 0, env.world - 1);
  env.local_rank = integer(local, 0, env.world - 1);
}

/// First host of Slurm's compressed list: "node[07-12,20],x" gives "node07".
std::string first_host(const std::string& list) {
  const std::size_t open = list.find('[');
  const std::size_t comma = list.find(',');
  if (open == std::string::npos || comma < open) {
    return list.substr(0, comma);
  }
  const std::size_t end = list.find_first_of("-,]", open);
  return list.substr(0, open) + list.substr(open + 1, end - open - 1);
}

/// Two steps of one job, and two jobs on one node, should not meet at one port.
std::int64_t slurm_port() {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max() / 64;
  const std::int64_t job = variable("SLURM_JOB_ID") ? integer("SLURM_JOB_ID", 0, kMax) : 0;
  const std::int64_t step = variable("SLURM_STEP_ID") ? integer("SLURM_STEP_ID", 0, kMax) : 0;
  return 20000 + (job * 31 + step) % 12000;
}

int descriptor(const std::string& name) {
  return variable(name) ? int(integer(name, 0, 1 << 20)) : -1;
}

LaunchEnv torchrun_env() {
  LaunchEnv env;
  read_ranks(env, "RANK", "WORLD_SIZE", "LOCAL_RANK");
  env.supervised = variable("BATCHSCOPE_SUPERVISOR").has_value();
  env.external = !env.supervised;
  if (env.world > 1) {
    env.master_port = integer("MASTER_PORT", 1, 65535);
    if (!variable("MASTER_ADDR")) {
      throw contract::SpecError(
          "MASTER_ADDR",
          "the environment has variables of a rank but not MASTER_ADDR; a launcher sets all");
    }
    env.master_address = *variable("MASTER_ADDR");
  }
  if (env.supervised && env.rank == 0) {
    env.store_fd = descriptor("BATCHSCOPE_STORE_FD");
    env.lock_fd = descriptor("BATCHSCOPE_LOCK_FD");
  }
  return env;
}

LaunchEnv slurm_env() {
  LaunchEnv env;
  read_ranks(env, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID");
  env.external = true;
  env.master_port = variable("MASTER_PORT") ? integer("MASTER_PORT", 1, 65535) : slurm_port();
  if (const auto address = variable("MASTER_ADDR")) {
    env.master_address = *address;
  } else if (const auto nodes = variable("SLURM_STEP_NODELIST")) {
    env.master_address = first_host(*nodes);
  } else {
    throw contract::SpecError("SLURM_STEP_NODELIST",
                              "Slurm's variables are set but not SLURM_STEP_NODELIST, so the "
                              "first node is unknown; set MASTER_ADDR");
  }
  return env;
}

}  // namespace

LaunchEnv launch_env() {
  if (variable("RANK") || variable("WORLD_SIZE")) {
    return torchrun_env();
  }
  // Only srun sets the step's task count: a batch script, and a step of one task, are no ranks.
  if (variable("SLURM_STEP_NUM_TASKS") && integer("SLURM_STEP_NUM_TASKS", 1, kMaxWorld) > 1) {
    return slurm_env();
  }
  return {};
}

}  // namespace batchscope::train
