#pragma once

#include "engine/control/unix_socket.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace batchscope::train {

/// The server's end of one client: bytes to lines, and lines to bytes without ever blocking. Used
/// by the control thread alone.
class ClientLink {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMaxUnsent = 4 << 20;                  // bytes
  static constexpr std::chrono::seconds kMaxStall{10};                // without taking a byte
  static constexpr std::size_t kReadPerTurn = std::size_t(64) << 10;  // so that nobody starves

  ClientLink(std::uint64_t id, UnixSocket socket);
  std::uint64_t id() const { return id_; }
  int fd() const { return socket_.fd(); }

  /// Reads what is there, at most kReadPerTurn, and gives each complete line to `on_line`; a line
  /// over the limit is skipped to its newline and reported once by `on_long_line`. False: the
  /// client has gone.
  bool receive(const std::function<void(const std::string&)>& on_line,
               const std::function<void()>& on_long_line);
  /// Appends a line to what is to be sent, and sends what can be sent. False: drop the client.
  bool send(const std::string& line);
  /// Sends what can be sent. False: the client has gone, or is too slow.
  bool flush();
  bool has_unsent() const { return unsent_.size() > sent_; }

  bool greeted = false;  // said hello: gets notices
  int protocol = 0;      // what it said; 0: nothing yet

 private:
  std::uint64_t id_;
  UnixSocket socket_;
  std::string received_;
  bool skipping_ = false;
  std::string unsent_;
  std::size_t sent_ = 0;
  Clock::time_point progress_ = Clock::now();
};

}  // namespace batchscope::train
