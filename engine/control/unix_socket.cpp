#include "engine/control/unix_socket.h"

#include "engine/contract/error.h"
#include "engine/control/control_server.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace batchscope::train {
namespace {

constexpr std::size_t kLongestPath = 100;

[[noreturn]] void fail(const std::string& sentence) {
  throw contract::Error(contract::ExitCode::kUsage, sentence);
}

std::string reason() {
  return std::strerror(errno);
}

bool is_own_folder(const std::string& path, mode_t forbidden) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid() &&
         (info.st_mode & forbidden) == 0;
}

/// Makes the folder with mode 0700, or checks that it has it.
void make_private_folder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) {
    chmod(path.c_str(), 0700);  // a strange umask may have taken bits away
  } else if (errno != EEXIST) {
    fail("cannot make the folder " + path + " for control sockets: " + reason());
  }
  if (!is_own_folder(path, 077)) {
    fail("the folder " + path +
         " for control sockets is not a folder of this user with mode 0700; remove it or set "
         "XDG_RUNTIME_DIR");
  }
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string control_socket_path(const std::string& run_id) {
  constexpr const char* kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  if (run_id.empty() || run_id.size() > 40 ||
      run_id.find_first_not_of(kAllowed) != std::string::npos) {
    fail("\"" + run_id + "\" is not the id of a run; expected 12 hex digits");
  }
  const std::string name = "/" + run_id + ".sock";
  const std::string own = "/batchscope-" + std::to_string(geteuid());
  std::string folder;
  const std::string runtime = environment("XDG_RUNTIME_DIR");
  const std::string temporary = environment("TMPDIR");
  if (!runtime.empty() && runtime[0] == '/' && is_own_folder(runtime, 022)) {
    folder = runtime + "/batchscope";
  } else if (!temporary.empty() && temporary[0] == '/') {
    folder = temporary + own;
  }
  if (folder.empty() || folder.size() + name.size() > kLongestPath) {
    folder = "/tmp" + own;
  }
  make_private_folder(folder);
  return folder + name;
}

UnixSocket::UnixSocket(int fd) : fd_(fd) {}
UnixSocket::~UnixSocket() {
  if (fd_ >= 0) {
    close(fd_);
  }
}
UnixSocket::UnixSocket(UnixSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
UnixSocket& UnixSocket::operator=(UnixSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

bool peer_is_same_user(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() > kLongestPath) {
    fail("the socket path " + path + " has " + std::to_string(path.size()) +
         " bytes; at most 100 are allowed");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace

UnixSocket connect_unix(const std::string& path) {
  const sockaddr_un address = address_of(path);
  UnixSocket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // A full backlog must not hold a client for ever.
  const timeval limit{5, 0};
  setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (socket.fd() < 0 ||
      connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw contract::PeerError("nobody answers at the control socket " + path + ": " + reason());
  }
  return socket;
}

UnixSocket listen_unix(const std::string& path) {
  const sockaddr_un address = address_of(path);
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (!is_own_folder(folder, 022)) {
    fail("the control socket's folder " + folder +
         " does not belong to this user alone; others could replace the socket");
  }
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) {
      fail(path + " exists and is not a socket");
    }
    try {
      connect_unix(path);
      fail("another engine listens at " + path);
    } catch (const contract::PeerError&) {
      unlink(path.c_str());  // left over from a process that is gone
    }
  }
  UnixSocket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.fd() < 0 ||
      bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      chmod(path.c_str(), 0600) != 0 || listen(socket.fd(), 64) != 0) {
    fail("cannot listen at " + path + ": " + reason());
  }
  return socket;
}

}  // namespace batchscope::train
