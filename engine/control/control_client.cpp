#include "engine/control/control_client.h"

#include "engine/contract/error.h"
#include "engine/control/unix_socket.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <poll.h>
#include <sys/socket.h>

namespace batchscope::train {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

struct ControlClient::Impl {
  explicit Impl(const std::string& socket_path)
      : path(socket_path), socket(connect_unix(socket_path)) {
    if (!peer_is_same_user(socket.fd())) {
      throw contract::PeerError("the control socket " + path + " belongs to another user");
    }
  }

  /// Waits for the socket until `end`; false when the time is over.
  bool ready(short events, Clock::time_point end) const {
    for (;;) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
      pollfd watched{socket.fd(), events, 0};
      const int count = poll(&watched, 1, int(std::clamp<long long>(left + 1, 0, 1000)));
      if (count > 0) {
        return true;
      }
      if (Clock::now() >= end) {
        return false;
      }
    }
  }
  [[noreturn]] void closed() const {
    throw contract::PeerError("the engine closed the control socket " + path);
  }
  bool send(const std::string& line, Clock::time_point end) {
    std::size_t sent = 0;
    while (sent < line.size()) {
      if (!ready(POLLOUT, end)) {
        return false;
      }
      const ssize_t count =
          ::send(socket.fd(), line.data() + sent, line.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count >= 0) {
        sent += std::size_t(count);
      } else if (errno != EAGAIN && errno != EINTR) {
        return true;  // what the engine said before it closed can still be read
      }
    }
    return true;
  }
  /// The next line, or nothing when the time is over.
  std::optional<std::string> line(Clock::time_point end) {
    for (;;) {
      if (const auto at = received.find('\n'); at != std::string::npos) {
        std::string out = received.substr(0, at);
        received.erase(0, at + 1);
        return out;
      }
      if (received.size() > contract::kMaxLineBytes) {
        throw contract::PeerError("the engine at " + path + " sent a line over the limit");
      }
      if (!ready(POLLIN, end)) {
        return std::nullopt;
      }
      char buffer[65536];
      const ssize_t count = recv(socket.fd(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (count > 0) {
        received.append(buffer, std::size_t(count));
      } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        closed();
      }
    }
  }

  std::string path;
  UnixSocket socket;
  std::string received;
  std::int64_t next_id = 1;
};

ControlClient::ControlClient(const std::string& socket_path)
    : impl_(std::make_unique<Impl>(socket_path)) {}
ControlClient::~ControlClient() = default;
ControlClient::ControlClient(ControlClient&&) noexcept = default;

contract::Reply ControlClient::call(contract::CommandBody body,
                                    double timeout_s,
                                    const std::function<void(const contract::Report&)>& on_notice) {
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(timeout_s));
  const contract::Command command{impl_->next_id++, std::move(body)};
  std::optional<std::string> line;
  if (impl_->send(contract::encode(command) + "\n", end)) {
    while ((line = impl_->line(end))) {
      contract::Report report;
      try {
        report = contract::decode_report(*line);
      } catch (const contract::SpecError&) {
        continue;  // a notice of a newer engine
      }
      const auto* reply = std::get_if<contract::Reply>(&report);
      if (reply != nullptr && reply->id == command.id) {
        return *reply;
      }
      if (reply != nullptr && reply->id == -1) {
        throw contract::PeerError(reply->error);
      }
      if (reply == nullptr && on_notice) {
        on_notice(report);
      }
    }
  }
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%g", timeout_s);
  throw contract::PeerError("no answer to " + contract::command_name(command.body) + " within " +
                            seconds + " s");
}

}  // namespace batchscope::train
