#include "models/weights/byte_source.h"

#include "models/weights/weight_error.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace batchscope::models {

void ByteSource::read(std::uint64_t offset, void* to, std::uint64_t count) const {
  if (offset > size() || count > size() - offset) {
    refuse_file(origin_,
                "is truncated: " + std::to_string(count) + " bytes are expected at byte " +
                    std::to_string(offset) + ", the file has " + std::to_string(size()));
  }
  if (count > 0 && !copy(offset, to, count)) {
    refuse_file(origin_, "could not be read at byte " + std::to_string(offset));
  }
}

std::string ByteSource::text(std::uint64_t offset, std::uint64_t count) const {
  // Before memory is asked for: a count comes from a file.
  if (count > size()) {
    read(offset, nullptr, count);
  }
  std::string bytes(count, '\0');
  read(offset, bytes.data(), count);
  return bytes;
}

FileSource::FileSource(const std::filesystem::path& path) : ByteSource(path.string()) {
  // Not blocking: a pipe without a writer is refused below instead of being waited for.
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info {};
  if (fd_ < 0 || ::fstat(fd_, &info) != 0) {
    const std::string reason = std::strerror(errno);
    if (fd_ >= 0) {
      ::close(fd_);
    }
    throw WeightError("Could not open '" + printable(origin()) + "': " + reason + ".");
  }
  if (!S_ISREG(info.st_mode)) {
    ::close(fd_);
    throw WeightError("Could not open '" + printable(origin()) + "': it is not a file.");
  }
  size_ = static_cast<std::uint64_t>(info.st_size);
}

FileSource::~FileSource() {
  ::close(fd_);
}

bool FileSource::copy(std::uint64_t offset, void* to, std::uint64_t count) const {
  auto* bytes = static_cast<char*>(to);
  while (count > 0) {
    const ssize_t got = ::pread(fd_, bytes, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return false;
    }
    bytes += got;
    offset += static_cast<std::uint64_t>(got);
    count -= static_cast<std::uint64_t>(got);
  }
  return true;
}

bool MemorySource::copy(std::uint64_t offset, void* to, std::uint64_t count) const {
  std::memcpy(to, bytes_.data() + offset, count);
  return true;
}

}  // namespace batchscope::models
