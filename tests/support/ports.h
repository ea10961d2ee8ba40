#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

/// Ports of the loopback interface that no other test on this machine can get in the meantime.
namespace batchscope::test {

struct BoundSocket {
  int fd = -1;
  int port = 0;
};

inline BoundSocket bind_on_loopback() {
  BoundSocket out;
  out.fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(out.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(out.fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(out.fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no port for the test's ranks");
  }
  out.port = ntohs(address.sin_port);
  return out;
}

/// A socket that listens; who takes its descriptor closes it.
inline BoundSocket listen_on_loopback() {
  const BoundSocket out = bind_on_loopback();
  if (::listen(out.fd, 64) != 0) {
    throw std::runtime_error("no port for the test's ranks to listen at");
  }
  return out;
}

/// A port for one server that is told its number, kept from being given to anybody who asks for
/// any: bound, and shared (SO_REUSEADDR) with the server, which alone listens.
class HeldPort {
 public:
  HeldPort() : socket_(bind_on_loopback()) {}
  ~HeldPort() { ::close(socket_.fd); }
  HeldPort(const HeldPort&) = delete;
  HeldPort& operator=(const HeldPort&) = delete;
  int port() const { return socket_.port; }

 private:
  BoundSocket socket_;
};

}  // namespace batchscope::test
