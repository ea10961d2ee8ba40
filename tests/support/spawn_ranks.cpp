#include "tests/support/spawn_ranks.h"

#include "tests/support/ports.h"
#include "tests/support/test_program.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern char** environ;

namespace batchscope::test {
namespace {

constexpr const char* kCase = "BATCHSCOPE_TEST_RANK";

std::vector<std::string> environment_of(const SpawnOptions& options,
                                        int rank,
                                        const BoundSocket& listener) {
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    all[text.substr(0, text.find('='))] = text.substr(text.find('=') + 1);
  }
  all[kCase] = options.name;
  all["RANK"] = all["LOCAL_RANK"] = std::to_string(rank);
  all["WORLD_SIZE"] = std::to_string(options.world);
  all["MASTER_ADDR"] = "127.0.0.1";
  all["MASTER_PORT"] = std::to_string(listener.port);
  all["BATCHSCOPE_SUPERVISOR"] = std::to_string(getpid());
  all["BATCHSCOPE_STORE_FD"] = std::to_string(listener.fd);
  all["OMP_NUM_THREADS"] = "1";
  for (const auto& [name, value] : options.environment) {
    all[name] = value;
  }
  std::vector<std::string> out;
  for (const auto& [name, value] : all) {
    out.push_back(name + "=" + value);
  }
  return out;
}

pid_t start(const SpawnOptions& options, int rank, const BoundSocket& listener, int output) {
  const auto text = environment_of(options, rank, listener);
  std::vector<char*> environment;
  for (const auto& entry : text) {
    environment.push_back(const_cast<char*>(entry.c_str()));
  }
  environment.push_back(nullptr);
  std::string program = "/proc/self/exe";
  std::string test = running_test();
  char* arguments[] = {program.data(), test.data(), nullptr};
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    if (rank != 0) {
      close(listener.fd);
    }
    execve(program.c_str(), arguments, environment.data());
    _exit(127);
  }
  return pid;
}

std::string contents(std::FILE* file) {
  std::string out;
  char buffer[4096];
  std::rewind(file);
  for (std::size_t count = 0; (count = std::fread(buffer, 1, sizeof buffer, file)) > 0;) {
    out.append(buffer, count);
  }
  return out;
}

}  // namespace

std::vector<RankResult> spawn_ranks(const SpawnOptions& options) {
  const BoundSocket listener = listen_on_loopback();
  const int count = options.start < 0 ? options.world : options.start;
  std::vector<pid_t> pids;
  std::vector<std::FILE*> outputs;
  for (int rank = 0; rank < count; ++rank) {
    outputs.push_back(std::tmpfile());
    pids.push_back(start(options, rank, listener, fileno(outputs.back())));
  }
  close(listener.fd);
  std::vector<RankResult> results(pids.size());
  const auto end = std::chrono::steady_clock::now() + options.limit;
  std::size_t ended = 0;
  while (ended < pids.size()) {
    const bool over = std::chrono::steady_clock::now() > end;
    for (std::size_t i = 0; i < pids.size(); ++i) {
      int status = 0;
      if (over && pids[i] > 0) {
        kill(pids[i], SIGKILL);
      }
      if (pids[i] > 0 && waitpid(pids[i], &status, over ? 0 : WNOHANG) == pids[i]) {
        results[i].code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        results[i].signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        pids[i] = -1;
        ++ended;
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    results[i].output = contents(outputs[i]);
    std::fclose(outputs[i]);
  }
  return results;
}

std::string rank_case() {
  const char* name = std::getenv(kCase);
  return name == nullptr ? "" : name;
}

}  // namespace batchscope::test
