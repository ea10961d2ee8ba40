#include "storage/run_files.h"

#include "engine/contract/error.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <random>
#include <unistd.h>

namespace batchscope::storage {

namespace fs = std::filesystem;

fs::path default_library() {
  const char* data = std::getenv("XDG_DATA_HOME");
  if (data && data[0] == '/') {
    return fs::path(data) / "batchscope" / "library";
  }
  const char* home = std::getenv("HOME");
  return fs::path(home ? home : "/") / ".local" / "share" / "batchscope" / "library";
}

std::string new_run_id() {
  std::random_device random;
  static const char* const kHex = "0123456789abcdef";
  std::string id;
  for (int i = 0; i < 12; ++i) {
    id += kHex[random() & 15U];
  }
  return id;
}

fs::path run_folder(const fs::path& library, const std::string& id) {
  return library / id;
}

fs::path run_file_of(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error) ? path / kRunFile : path;
}

fs::path folder_of_run(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    return path;
  }
  return path.filename() == kRunFile ? fs::absolute(path, error).parent_path() : fs::path();
}

std::string now_utc() {
  const auto now = std::chrono::system_clock::now();
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  const std::time_t seconds = milliseconds / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(
      text.data() + size, text.size() - size, ".%03dZ", static_cast<int>(milliseconds % 1000));
  return text.data();
}

void sync_file(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  if (fd >= 0) {
    ::close(fd);
  }
  if (!synced) {
    throw contract::StorageError("'" + file.string() + "' cannot be written to the disk");
  }
}

void sync_folder(const fs::path& folder) noexcept {
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    ::fsync(fd);
    ::close(fd);
  }
}

ReplacingFile::ReplacingFile(const fs::path& path) : path_(path), temporary_(path) {
  temporary_ += ".part" + std::to_string(::getpid());
  file_ = std::fopen(temporary_.c_str(), "wbe");
  if (!file_) {
    throw contract::StorageError("'" + path.string() + "' cannot be written");
  }
}

ReplacingFile::~ReplacingFile() {
  if (file_) {
    std::fclose(file_);
    std::error_code ignored;
    fs::remove(temporary_, ignored);
  }
}

void ReplacingFile::write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) {
    throw contract::StorageError("'" + path_.string() + "' cannot be written: is the disk full?");
  }
}

void ReplacingFile::commit() {
  const bool flushed = std::fflush(file_) == 0 && ::fsync(::fileno(file_)) == 0;
  const bool closed = std::fclose(file_) == 0;
  file_ = nullptr;
  std::error_code error;
  if (flushed && closed) {
    fs::rename(temporary_, path_, error);
  }
  if (!flushed || !closed || error) {
    std::error_code ignored;
    fs::remove(temporary_, ignored);
    throw contract::StorageError("'" + path_.string() + "' cannot be written: " +
                                 (error ? error.message() : "is the disk full?"));
  }
  sync_folder(path_.parent_path());
}

}  // namespace batchscope::storage
