#include "storage/run_lock.h"

#include "engine/contract/error.h"
#include "storage/run_files.h"

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <fstream>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace batchscope::storage {
namespace {

/// Who tests the lock holds a shared one for microseconds: a taker tries again for this long.
constexpr int kTries = 50;
constexpr std::chrono::milliseconds kPause{5};

/// A folder may come from a stranger: a pipe would keep us waiting, and a link lead elsewhere.
int open_lock(const std::filesystem::path& file, int flags) {
  const int fd = ::open(file.c_str(), flags | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0644);
  struct stat status {};
  if (fd >= 0 && (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))) {
    ::close(fd);
    errno = EINVAL;
    return -1;
  }
  return fd;
}

bool try_exclusive(int fd) {
  for (int i = 0; i < kTries; ++i) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) {
      return true;
    }
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return false;
    }
    std::this_thread::sleep_for(kPause);
  }
  return false;
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kLockFile;
  fd_ = open_lock(file, O_RDWR | O_CREAT);
  if (fd_ < 0) {
    throw contract::StorageError("'" + file.string() +
                                 "' cannot be opened: " + std::system_category().message(errno));
  }
  if (!try_exclusive(fd_)) {
    std::string pid;
    std::ifstream(file) >> pid;
    ::close(std::exchange(fd_, -1));
    throw contract::StorageError("run '" + folder.string() + "' is being written by " +
                                 (pid.empty() ? "another process" : "process " + pid));
  }
  // For people and messages only: the lock itself is the kernel's.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd_, 0) == 0) {
    [[maybe_unused]] const auto written = ::pwrite(fd_, pid.data(), pid.size(), 0);
  }
}

RunLock RunLock::adopt(int fd) {
  RunLock lock;
  lock.fd_ = fd;
  return lock;
}

// Closing is enough and unlocking would be wrong: an inherited descriptor shares the lock.
RunLock::~RunLock() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

RunLock::RunLock(RunLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

bool run_is_locked(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kLockFile;
  const int fd = open_lock(file, O_RDONLY);
  if (fd < 0) {
    return false;
  }
  const bool locked = ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return locked;
}

}  // namespace batchscope::storage
