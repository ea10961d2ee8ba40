#pragma once

#include "engine/distributed/group.h"
#include "engine/train/command_port.h"

#include <functional>
#include <string>
#include <vector>

namespace batchscope::train {

/// What users ask of a running training: gathered from rank 0's port, agreed upon by all ranks, and
/// each answered exactly once. Training thread only.
class CommandInbox {
 public:
  using Apply = std::function<contract::Reply(const contract::CommandBody&)>;

  /// port: rank 0's, null elsewhere; a null port listens to nobody. Both outlive the inbox.
  CommandInbox(CommandPort* port, Group& group) : port_(port), group_(group) {}

  /// Takes what has come; true if something waits. At once, on this rank alone.
  bool gather();
  /// The same after up to `ms` for something to come.
  void wait(int ms);
  /// A command to stop waits.
  bool stop_waits() const;
  /// Calls `apply` for what waits on rank 0, on every rank in the same order, and answers. All
  /// ranks call it together. What `apply` throws goes on, with the command answered by its
  /// sentence.
  void carry_out(const Apply& apply);
  /// Answers all that has come and waits with a refusal.
  void refuse(const std::string& why);

 private:
  void answer(const contract::Reply& reply);

  CommandPort* port_;
  Group& group_;
  std::vector<QueuedCommand> waiting_;
};

/// The reply to a command that was not carried out.
contract::Reply refusal(const std::string& field, const std::string& error);

}  // namespace batchscope::train
