// Preloaded into the engine: a disk that is full for a while. FULL_DISK_UNDER names a folder,
// FULL_DISK_PLAN a file of three 64-bit numbers that all processes share: writes below the folder
// so far, the first that fails, and how many do.
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

struct Plan {
  std::atomic<std::int64_t> calls;
  std::int64_t from, count;
};

Plan* plan() {
  static Plan* const shared = []() -> Plan* {
    const char* path = std::getenv("FULL_DISK_PLAN");
    const int fd = path == nullptr ? -1 : ::open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
      return nullptr;
    }
    void* memory = ::mmap(nullptr, sizeof(Plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    return memory == MAP_FAILED ? nullptr : static_cast<Plan*>(memory);
  }();
  return shared;
}

bool fails(int fd) {
  static const char* const under = std::getenv("FULL_DISK_UNDER");
  if (under == nullptr || plan() == nullptr) {
    return false;
  }
  char link[64], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = ::readlink(link, path, sizeof path - 1);
  if (length <= 0) {
    return false;
  }
  path[length] = '\0';
  // What the system reads of logs is no part of a run's promises.
  if (std::strncmp(path, under, std::strlen(under)) != 0 ||
      std::strstr(path, "/logs/") != nullptr) {
    return false;
  }
  const std::int64_t call = plan()->calls.fetch_add(1);
  if (call < plan()->from || call >= plan()->from + plan()->count) {
    return false;
  }
  errno = ENOSPC;
  return true;
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t count) {
  static auto* const real = next<ssize_t(int, const void*, size_t)>("write");
  return fails(fd) ? -1 : real(fd, bytes, count);
}
ssize_t pwrite(int fd, const void* bytes, size_t count, off_t at) {
  static auto* const real = next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return fails(fd) ? -1 : real(fd, bytes, count, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t count, off64_t at) {
  static auto* const real = next<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  return fails(fd) ? -1 : real(fd, bytes, count, at);
}
ssize_t writev(int fd, const iovec* parts, int count) {
  static auto* const real = next<ssize_t(int, const iovec*, int)>("writev");
  return fails(fd) ? -1 : real(fd, parts, count);
}
int fsync(int fd) {
  static auto* const real = next<int(int)>("fsync");
  return fails(fd) ? -1 : real(fd);
}
int fdatasync(int fd) {
  static auto* const real = next<int(int)>("fdatasync");
  return fails(fd) ? -1 : real(fd);
}
int ftruncate(int fd, off_t size) {
  static auto* const real = next<int(int, off_t)>("ftruncate");
  return fails(fd) ? -1 : real(fd, size);
}
int ftruncate64(int fd, off64_t size) {
  static auto* const real = next<int(int, off64_t)>("ftruncate64");
  return fails(fd) ? -1 : real(fd, size);
}
int posix_fallocate(int fd, off_t at, off_t size) {
  static auto* const real = next<int(int, off_t, off_t)>("posix_fallocate");
  return fails(fd) ? ENOSPC : real(fd, at, size);
}
}
