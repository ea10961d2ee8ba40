#include "engine/distributed/rank_process.h"

#include "engine/contract/error.h"

#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

extern char** environ;

namespace batchscope::train {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw contract::Error(contract::ExitCode::kPeer, what + ": " + std::strerror(errno));
}

std::vector<std::string> environment_of(const SupervisorOptions& options,
                                        std::int64_t rank,
                                        const StoreSocket& store,
                                        const RankBoard& board) {
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string::npos) {
      all[text.substr(0, equals)] = text.substr(equals + 1);
    }
  }
  for (const auto& [name, value] : options.environment) {
    all[name] = value;
  }
  all["RANK"] = all["LOCAL_RANK"] = std::to_string(rank);
  all["WORLD_SIZE"] = std::to_string(options.ranks);
  all["MASTER_ADDR"] = "127.0.0.1";
  all["MASTER_PORT"] = std::to_string(store.port());
  all["BATCHSCOPE_SUPERVISOR"] = std::to_string(getpid());
  all["BATCHSCOPE_BOARD_FD"] = std::to_string(board.fd());
  all.erase("BATCHSCOPE_STORE_FD");
  all.erase("BATCHSCOPE_LOCK_FD");
  if (rank == 0) {
    all["BATCHSCOPE_STORE_FD"] = std::to_string(store.fd());
    if (options.lock_fd >= 0) {
      all["BATCHSCOPE_LOCK_FD"] = std::to_string(options.lock_fd);
    }
  }
  std::vector<std::string> out;
  out.reserve(all.size());
  for (const auto& [name, value] : all) {
    out.push_back(std::string(name).append("=").append(value));
  }
  return out;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const auto& text : texts) {
    out.push_back(const_cast<char*>(text.c_str()));
  }
  out.push_back(nullptr);
  return out;
}

/// The rank's end of the fork: only calls that are safe between fork and exec.
[[noreturn]] void become_rank(const char* program,
                              char* const* arguments,
                              char* const* environment,
                              int output,
                              int input,
                              pid_t supervisor,
                              const int* kept,
                              int kept_count) {
  setpgid(0, 0);  // a terminal's Ctrl-C reaches the supervisor alone
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != supervisor) {
    _exit(int(contract::ExitCode::kPeer));
  }
  dup2(input, STDIN_FILENO);
  if (output >= 0) {
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
  }
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  for (int i = 0; i < kept_count; ++i) {
    fcntl(kept[i], F_SETFD, 0);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(program, arguments, environment);
  _exit(127);
}

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags)
      : fd_(open(path.c_str(), flags | O_CLOEXEC, 0644)) {
    if (fd_ < 0) {
      fail("cannot open " + path);
    }
  }
  ~Descriptor() { close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

StoreSocket::StoreSocket() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (fd_ < 0 || bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(fd_, 1024) != 0 ||
      getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    fail("no port of the loopback interface is free for the ranks to meet at");
  }
  port_ = ntohs(address.sin_port);
}
StoreSocket::~StoreSocket() {
  close(fd_);
}

pid_t start_rank(const SupervisorOptions& options,
                 const std::vector<std::string>& arguments,
                 std::int64_t rank,
                 const StoreSocket& store,
                 const RankBoard& board) {
  const auto environment = environment_of(options, rank, store, board);
  std::vector<std::string> command = {options.program};
  command.insert(command.end(), arguments.begin(), arguments.end());
  const auto environment_pointers = pointers(environment);
  const auto command_pointers = pointers(command);
  const Descriptor input("/dev/null", O_RDONLY);
  std::optional<Descriptor> log;
  if (!options.log_folder.empty() && !(rank == 0 && options.show_rank0)) {
    log.emplace(options.log_folder + "/rank" + std::to_string(rank) + ".log",
                O_WRONLY | O_CREAT | O_APPEND);
  }
  std::vector<int> kept = {board.fd()};
  if (rank == 0) {
    kept.push_back(store.fd());
    if (options.lock_fd >= 0) {
      kept.push_back(options.lock_fd);
    }
  }
  const pid_t supervisor = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    become_rank(options.program.c_str(),
                command_pointers.data(),
                environment_pointers.data(),
                log ? log->fd() : -1,
                input.fd(),
                supervisor,
                kept.data(),
                int(kept.size()));
  }
  if (pid < 0) {
    fail("cannot start rank " + std::to_string(rank));
  }
  return pid;
}

}  // namespace batchscope::train
