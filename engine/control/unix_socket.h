#pragma once

#include <string>

namespace batchscope::train {

/// A socket that closes itself.
class UnixSocket {
 public:
  explicit UnixSocket(int fd = -1);
  ~UnixSocket();
  UnixSocket(UnixSocket&& other) noexcept;
  UnixSocket& operator=(UnixSocket&& other) noexcept;
  int fd() const { return fd_; }

 private:
  int fd_;
};

/// Connects, blocking for at most 5 s. Throws contract::PeerError if nobody listens.
UnixSocket connect_unix(const std::string& path);
/// Listens without blocking, mode 0600; replaces a socket that nobody listens at any more. Throws
/// contract::Error if the folder is not this user's alone, another process listens, or the path is
/// longer than 100 bytes.
UnixSocket listen_unix(const std::string& path);
/// Whether the process at the other end belongs to this user.
bool peer_is_same_user(int fd);

}  // namespace batchscope::train
