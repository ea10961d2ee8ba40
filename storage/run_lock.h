#pragma once

#include <filesystem>

namespace batchscope::storage {

/// The kernel lock (flock) of a run: whoever holds the descriptor may write. It vanishes with its
/// last holder, so it is never stale.
class RunLock {
 public:
  /// Takes the lock. Throws contract::StorageError "run … is being written by pid …" if another
  /// holds it.
  explicit RunLock(const std::filesystem::path& folder);
  /// Adopts an inherited, already locked descriptor.
  static RunLock adopt(int fd);
  ~RunLock();
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&&) = delete;
  /// The descriptor, for passing to rank 0 (close-on-exec is set; clear it in the child).
  int fd() const { return fd_; }

 private:
  RunLock() = default;
  int fd_ = -1;
};

/// True while some process holds the lock of this run. Never blocks, never takes it for longer than
/// the test.
bool run_is_locked(const std::filesystem::path& folder);

}  // namespace batchscope::storage
