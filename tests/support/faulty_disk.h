#pragma once

#include <sqlite3.h>

#include <atomic>
#include <cstring>
#include <new>
#include <string>

namespace batchscope::test {

/// Stands between SQLite and the disk of this process, for connections that are opened while it
/// lives: what is written fails on demand, as on a full disk. One at a time.
class FaultyDisk {
 public:
  FaultyDisk() {
    base_ = sqlite3_vfs_find(nullptr);
    vfs_ = *base_;
    vfs_.zName = "faulty";
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + base_->szOsFile;
    vfs_.xOpen = open;
    current_ = this;
    sqlite3_vfs_register(&vfs_, 1);
  }
  ~FaultyDisk() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(base_, 1);
    current_ = nullptr;
  }
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  /// No byte can be written to files with this end of their name.
  void fill(const std::string& suffix = "") {
    suffix_ = suffix;
    full_ = true;
  }
  void empty() {
    left_ = 0;
    full_ = false;
  }
  /// The disk is full after so many more writes.
  void fill_after(int writes) {
    suffix_.clear();
    left_ = writes;
  }
  int refused() const { return refused_; }

 private:
  struct File {
    sqlite3_file base;
    const char* name;
  };
  static sqlite3_file* inner(sqlite3_file* file) {
    return reinterpret_cast<sqlite3_file*>(reinterpret_cast<File*>(file) + 1);
  }
  static bool refuses(sqlite3_file* file) {
    FaultyDisk& disk = *current_;
    if (disk.left_ > 0 && --disk.left_ == 0) {
      disk.full_ = true;
    }
    const char* name = reinterpret_cast<File*>(file)->name;
    const std::string path = name ? name : "";
    const bool refused = disk.full_ && path.ends_with(disk.suffix_);
    disk.refused_ += refused ? 1 : 0;
    return refused;
  }

  static int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
    reinterpret_cast<File*>(file)->name = name;
    file->pMethods = nullptr;
    const int code = current_->base_->xOpen(current_->base_, name, inner(file), flags, out);
    if (inner(file)->pMethods) {
      static const sqlite3_io_methods kMethods = methods();
      file->pMethods = &kMethods;
    }
    return code;
  }
  static sqlite3_io_methods methods() {
    sqlite3_io_methods m{};
    m.iVersion = 2;
    m.xClose = [](sqlite3_file* f) { return inner(f)->pMethods->xClose(inner(f)); };
    m.xRead = [](sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
      return inner(f)->pMethods->xRead(inner(f), to, n, at);
    };
    m.xWrite = [](sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
      return refuses(f) ? SQLITE_FULL : inner(f)->pMethods->xWrite(inner(f), from, n, at);
    };
    m.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) {
      return inner(f)->pMethods->xTruncate(inner(f), size);
    };
    m.xSync = [](sqlite3_file* f, int flags) { return inner(f)->pMethods->xSync(inner(f), flags); };
    m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
      return inner(f)->pMethods->xFileSize(inner(f), size);
    };
    m.xLock = [](sqlite3_file* f, int kind) { return inner(f)->pMethods->xLock(inner(f), kind); };
    m.xUnlock = [](sqlite3_file* f, int kind) {
      return inner(f)->pMethods->xUnlock(inner(f), kind);
    };
    m.xCheckReservedLock = [](sqlite3_file* f, int* out) {
      return inner(f)->pMethods->xCheckReservedLock(inner(f), out);
    };
    m.xFileControl = [](sqlite3_file* f, int op, void* arg) {
      return inner(f)->pMethods->xFileControl(inner(f), op, arg);
    };
    m.xSectorSize = [](sqlite3_file* f) { return inner(f)->pMethods->xSectorSize(inner(f)); };
    m.xDeviceCharacteristics = [](sqlite3_file* f) {
      return inner(f)->pMethods->xDeviceCharacteristics(inner(f));
    };
    m.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
      return inner(f)->pMethods->xShmMap(inner(f), page, size, extend, out);
    };
    m.xShmLock = [](sqlite3_file* f, int at, int n, int flags) {
      return inner(f)->pMethods->xShmLock(inner(f), at, n, flags);
    };
    m.xShmBarrier = [](sqlite3_file* f) { inner(f)->pMethods->xShmBarrier(inner(f)); };
    m.xShmUnmap = [](sqlite3_file* f, int remove) {
      return inner(f)->pMethods->xShmUnmap(inner(f), remove);
    };
    return m;
  }

  static inline FaultyDisk* current_ = nullptr;
  sqlite3_vfs* base_ = nullptr;
  sqlite3_vfs vfs_{};
  std::string suffix_;
  std::atomic<bool> full_{false};
  std::atomic<int> left_{0}, refused_{0};
};

}  // namespace batchscope::test
