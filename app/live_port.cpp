#include "app/live_port.h"

namespace batchscope::app {

void LivePort::set_status(const contract::StatusReport& status) {
  const std::lock_guard guard(mutex_);
  status_ = status;
  ServerPort::set_status(completed(status));
}

void LivePort::notify(const contract::Report& notice) {
  const std::lock_guard guard(mutex_);
  const auto* state = std::get_if<contract::StateNotice>(&notice);
  if (state == nullptr) {
    ServerPort::notify(notice);
    return;
  }
  status_ = state->status;
  ServerPort::set_status(completed(status_));
  ServerPort::notify(contract::StateNotice{completed(status_)});
}

void LivePort::set_committed(std::int64_t seq) {
  const std::lock_guard guard(mutex_);
  committed_ = seq;
  if (known()) {
    ServerPort::set_status(completed(status_));
  }
  ServerPort::notify(contract::CommittedNotice{seq});
}

void LivePort::set_trouble(const std::string& sentence) {
  const std::lock_guard guard(mutex_);
  trouble_ = sentence;
  if (known()) {
    ServerPort::set_status(completed(status_));
    ServerPort::notify(contract::StateNotice{completed(status_)});
  }
}

contract::StatusReport LivePort::set_stuck(const std::string& sentence) {
  const std::lock_guard guard(mutex_);
  stuck_ = sentence;
  contract::StatusReport status = completed(status_);
  if (known()) {
    ServerPort::set_status(status);
    ServerPort::notify(contract::StateNotice{status});
  }
  return status;
}

contract::StatusReport LivePort::completed(contract::StatusReport status) const {
  status.committed_seq = committed_;
  for (const std::string& sentence : {trouble_, stuck_}) {
    status.trouble += (status.trouble.empty() || sentence.empty() ? "" : " ") + sentence;
  }
  return status;
}

}  // namespace batchscope::app
