#pragma once

#include "engine/contract/messages.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace batchscope::train {

/// A command with where its answer goes. client 0: scripted by the spec, nobody waits.
struct QueuedCommand {
  std::uint64_t client = 0;
  contract::Command command;
};

/// Rank 0's ear: a thread with a Unix-domain socket (0600, in a 0700 folder, peer credentials
/// checked). It answers hello, status and malformed lines itself, and queues everything else for
/// the training thread. Slow clients are dropped; nothing a client sends can disturb the training.
/// Limits: 16 clients, lines of 1 MiB.
class ControlServer {
 public:
  /// Listens at once. Throws contract::Error (kUsage) if the socket cannot be made.
  explicit ControlServer(const std::string& socket_path, std::string engine_version);
  ~ControlServer();  // closes, joins, removes the socket
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  const std::string& path() const;
  /// Training thread: takes what has come since the last call, in order. Each of them must be
  /// answered once.
  std::vector<QueuedCommand> take();
  /// Waits up to `ms` for a command; for the paused state.
  bool wait(int ms);
  void answer(const QueuedCommand& command, contract::Reply reply);  // sets reply.id
  /// Sends a notice to every client that said hello.
  void notify(const contract::Report& notice);
  /// What hello and status are answered with; any thread.
  void set_status(const contract::StatusReport& status);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// $XDG_RUNTIME_DIR/batchscope/<12 hex>.sock, else in a 0700 folder of the user's under the
/// temporary directory (owner and mode checked); at most 100 bytes. Creates the folder. Throws
/// contract::Error.
std::string control_socket_path(const std::string& run_id);

}  // namespace batchscope::train
