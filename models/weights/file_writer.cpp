#include "models/weights/file_writer.h"

#include "models/weights/weight_error.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace batchscope::models {
namespace {

constexpr std::uint64_t kBuffer = 1 << 20;

DiskError disk_error(const std::string& verb, const std::filesystem::path& file) {
  return DiskError("Could not " + verb + " '" + printable(file.string()) +
                   "': " + std::strerror(errno) + ".");
}

}  // namespace

FileWriter::FileWriter(std::filesystem::path path, const Options& options)
    : path_(std::move(path)), beside_(path_.string() + ".part"), options_(options) {
  fd_ = ::open(beside_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
  if (fd_ < 0) {
    throw disk_error("create", path_);
  }
}

FileWriter::~FileWriter() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(beside_.c_str());
  }
}

void FileWriter::write(const char* bytes, std::uint64_t count) {
  while (count > 0) {
    const ssize_t wrote = ::write(fd_, bytes, count);
    if (wrote < 0 && errno == EINTR) {
      continue;
    }
    if (wrote <= 0) {
      throw disk_error("write", path_);
    }
    bytes += wrote;
    count -= static_cast<std::uint64_t>(wrote);
  }
}

void FileWriter::flush() {
  write(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void FileWriter::append(const void* bytes, std::uint64_t count) {
  place_ += count;
  if (count >= kBuffer) {
    flush();
    write(static_cast<const char*>(bytes), count);
    return;
  }
  buffer_.append(static_cast<const char*>(bytes), count);
  if (buffer_.size() >= kBuffer) {
    flush();
  }
}

void FileWriter::finish() {
  flush();
  const bool synced = !options_.durable || ::fsync(fd_) == 0;
  const bool closed = ::close(std::exchange(fd_, -1)) == 0;
  if (!synced || !closed || ::rename(beside_.c_str(), path_.c_str()) != 0) {
    const DiskError error = disk_error("finish", path_);
    ::unlink(beside_.c_str());
    throw error;
  }
  if (options_.durable) {
    const std::filesystem::path folder = path_.parent_path().empty() ? "." : path_.parent_path();
    const int entry = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (entry >= 0) {
      ::fsync(entry);
      ::close(entry);
    }
  }
}

}  // namespace batchscope::models
