#include "app/run_start.h"

#include "engine/contract/error.h"
#include "engine/distributed/signals_held.h"
#include "storage/run_files.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace batchscope::app {
namespace {

pid_t start(const std::vector<std::string>& words, const std::string& log, const sigset_t& mask) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const std::string& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  if (!log.empty()) {
    posix_spawn_file_actions_addopen(
        &files, STDERR_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &mask);
  // A Ctrl-C at the terminal reaches us alone, and through us each training once.
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, "/proc/self/exe", &files, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    throw contract::PeerError(std::string("The training could not be started: ") +
                              std::strerror(error) + ".");
  }
  return pid;
}

/// Waits for processes, passing signals on. Returns their first exit code that is not 0.
int wait_for(std::vector<pid_t> pids, const train::SignalsHeld& signals, bool& interrupted) {
  int code = 0;
  while (!pids.empty()) {
    const int signal = signals.next();
    if (signal != 0 && signal != SIGCHLD) {
      interrupted = true;
      for (const pid_t pid : pids) {
        kill(pid, SIGTERM);
      }
    }
    std::erase_if(pids, [&](pid_t pid) {
      int status = 0;
      if (waitpid(pid, &status, WNOHANG) != pid) {
        return false;
      }
      const int own =
          WIFEXITED(status) ? WEXITSTATUS(status) : static_cast<int>(contract::ExitCode::kPeer);
      code = code == 0 ? own : code;
      return true;
    });
  }
  return code;
}

}  // namespace

int train_prepared(const std::vector<PreparedRun>& runs,
                   const std::filesystem::path& library,
                   const std::string& device,
                   bool at_once) {
  const train::SignalsHeld signals;
  int code = 0;
  bool interrupted = false;
  std::vector<pid_t> together;
  for (const PreparedRun& run : runs) {
    std::vector<std::string> words = {
        "batchscope-engine", "train", "--resume", run.id, "--library", library.string()};
    if (!device.empty()) {
      words.insert(words.end(), {"--device", device});
    }
    const std::string log =
        at_once ? (run.folder / storage::kLogFolder / "train.log").string() : std::string();
    together.push_back(start(words, log, signals.before()));
    if (!at_once) {
      const int own = wait_for(std::exchange(together, {}), signals, interrupted);
      code = code == 0 ? own : code;
      if (interrupted) {
        break;
      }
    }
  }
  const int rest = wait_for(together, signals, interrupted);
  if (interrupted) {
    return static_cast<int>(contract::ExitCode::kInterrupted);
  }
  return code == 0 ? rest : code;
}

}  // namespace batchscope::app
