#include "engine/train/command_inbox.h"

#include "engine/distributed/command_relay.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <variant>

namespace batchscope::train {

contract::Reply refusal(const std::string& field, const std::string& error) {
  contract::Reply reply;
  reply.field = field;
  reply.error = error;
  return reply;
}

bool CommandInbox::gather() {
  if (port_ != nullptr) {
    for (QueuedCommand& command : port_->take()) {
      waiting_.push_back(std::move(command));
    }
  }
  return !waiting_.empty();
}

void CommandInbox::wait(int ms) {
  if (port_ != nullptr) {
    port_->wait(ms);
    gather();
  } else if (group_.rank() == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  }
}

bool CommandInbox::stop_waits() const {
  return std::any_of(waiting_.begin(), waiting_.end(), [](const QueuedCommand& queued) {
    return std::holds_alternative<contract::StopCommand>(queued.command.body);
  });
}

void CommandInbox::answer(const contract::Reply& reply) {
  if (port_ == nullptr) {
    return;
  }
  // Taken out first: whatever happens next, it is not answered again.
  const QueuedCommand command = std::move(waiting_.front());
  waiting_.erase(waiting_.begin());
  port_->answer(command, reply);
}

void CommandInbox::carry_out(const Apply& apply) {
  std::vector<contract::Command> commands;
  for (const QueuedCommand& queued : waiting_) {
    commands.push_back(queued.command);
  }
  for (const contract::Command& command : agree_on_commands(group_, std::move(commands))) {
    contract::Reply reply;
    try {
      reply = apply(command.body);
    } catch (const std::exception& error) {
      answer(refusal("", error.what()));
      throw;
    }
    answer(reply);
  }
}

void CommandInbox::refuse(const std::string& why) {
  gather();
  while (!waiting_.empty()) {
    answer(refusal("", why));
  }
}

}  // namespace batchscope::train
