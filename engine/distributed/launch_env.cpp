#include "engine/distributed/launch_env.h"

#include "engine/contract/error.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <sstream>

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

/// Without LOCAL_WORLD_SIZE (plain variables) all ranks that are not known to be elsewhere are
/// here.
std::int64_t local_world(const LaunchEnv& env) {
  return variable("LOCAL_WORLD_SIZE") ? integer("LOCAL_WORLD_SIZE", env.local_rank + 1, env.world)
                                      : env.world;
}

void read_torchelastic(LaunchEnv& env) {
  env.job = variable("TORCHELASTIC_RUN_ID").value_or("");
  env.agent_store = variable("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
  if (variable("TORCHELASTIC_RESTART_COUNT")) {
    env.attempt = integer("TORCHELASTIC_RESTART_COUNT", 0, 1 << 30);
  }
}

LaunchEnv torchrun_env() {
  LaunchEnv env;
  read_ranks(env, "RANK", "WORLD_SIZE", "LOCAL_RANK");
  env.local_world = local_world(env);
  env.supervised = variable("BATCHSCOPE_SUPERVISOR").has_value();
  env.external = !env.supervised;
  if (env.external) {
    read_torchelastic(env);
  }
  if (env.world > 1 || env.agent_store) {
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

std::int64_t slurm_local_world(const LaunchEnv& env) {
  const auto counts = variable("SLURM_STEP_TASKS_PER_NODE");
  const std::int64_t node = variable("SLURM_NODEID") ? integer("SLURM_NODEID", 0, kMaxWorld) : 0;
  const std::int64_t tasks = counts ? tasks_on_node(*counts, node) : 0;
  return tasks > env.local_rank ? tasks : env.world;
}

LaunchEnv slurm_env() {
  LaunchEnv env;
  read_ranks(env, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID");
  env.external = true;
  env.local_world = slurm_local_world(env);
  env.job = variable("SLURM_JOB_ID").value_or("") + "." + variable("SLURM_STEP_ID").value_or("");
  if (variable("SLURM_RESTART_COUNT")) {
    env.attempt = integer("SLURM_RESTART_COUNT", 0, 1 << 30);
  }
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

/// N processes of mpirun without rank variables would be N trainings of the same.
void refuse_mpi() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"}) {
    if (variable(name) && integer(name, 1, kMaxWorld) > 1) {
      throw contract::SpecError(
          name,
          std::string(name) + " says that mpirun has started " + *variable(name) +
              " processes, which do not know of each other: start them with torchrun or srun, or "
              "set RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT for each "
              "(docs/clusters.md).");
    }
  }
}

}  // namespace

std::string first_host(const std::string& list) {
  std::string host;
  for (std::size_t i = 0; i < list.size() && list[i] != ','; ++i) {
    if (list[i] != '[') {
      host += list[i];
      continue;
    }
    const std::size_t close = std::min(list.find(']', i), list.size());
    const std::string inside = list.substr(i + 1, close - i - 1);
    host += inside.substr(0, inside.find_first_of("-,"));
    i = close;
  }
  return host;
}

std::int64_t tasks_on_node(const std::string& counts, std::int64_t node) {
  std::istringstream words(counts);
  std::string word;
  while (std::getline(words, word, ',')) {
    long long tasks = 0, times = 1;
    if (std::sscanf(word.c_str(), "%lld(x%lld)", &tasks, &times) < 1) {
      return 0;
    }
    if (node < times) {
      return tasks;
    }
    node -= times;
  }
  return 0;
}

LaunchEnv launch_env() {
  if (variable("RANK") || variable("WORLD_SIZE")) {
    return torchrun_env();
  }
  // Only srun sets the step's task count: a batch script, and a step of one task, are no ranks.
  if (variable("SLURM_STEP_NUM_TASKS") && integer("SLURM_STEP_NUM_TASKS", 1, kMaxWorld) > 1) {
    return slurm_env();
  }
  refuse_mpi();
  return {};
}

}  // namespace batchscope::train
