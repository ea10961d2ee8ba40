#pragma once

#include "engine/control/control_server.h"

#include <vector>

namespace batchscope::train {

/// Where commands come from and answers go to, as the trainer of rank 0 sees it. Implemented over
/// the control server in the app and by tests. Calls come from the training thread.
class CommandPort {
 public:
  virtual ~CommandPort() = default;
  virtual std::vector<QueuedCommand> take() = 0;
  /// Waits up to `ms` for a command.
  virtual void wait(int ms) = 0;
  virtual void answer(const QueuedCommand& command, const contract::Reply& reply) = 0;
  virtual void notify(const contract::Report& notice) = 0;
  virtual void set_status(const contract::StatusReport& status) = 0;
};

/// The port over rank 0's control server.
class ServerPort : public CommandPort {
 public:
  explicit ServerPort(ControlServer& server) : server_(server) {}
  std::vector<QueuedCommand> take() override { return server_.take(); }
  void wait(int ms) override { server_.wait(ms); }
  void answer(const QueuedCommand& command, const contract::Reply& reply) override {
    server_.answer(command, reply);
  }
  void notify(const contract::Report& notice) override { server_.notify(notice); }
  void set_status(const contract::StatusReport& status) override { server_.set_status(status); }

 private:
  ControlServer& server_;
};

}  // namespace batchscope::train
