#pragma once

#include "engine/train/command_port.h"

#include <cstdint>
#include <mutex>
#include <string>

namespace batchscope::app {

/// The control server's port, with what the trainer does not know of a run: how much of it readers
/// can see, whether its telemetry can be written, which ranks are stuck. The training thread
/// reports; the writer's thread and the one that watches the ranks say the rest.
class LivePort : public train::ServerPort {
 public:
  explicit LivePort(train::ControlServer& server) : ServerPort(server) {}

  void set_status(const contract::StatusReport& status) override;
  void notify(const contract::Report& notice) override;
  /// Rows up to this one can be read; told to all who listen.
  void set_committed(std::int64_t seq);
  /// One sentence, or empty once it is over; told to all who listen.
  void set_trouble(const std::string& sentence);
  /// The same of ranks that are stuck. Gives the status with it.
  contract::StatusReport set_stuck(const std::string& sentence);

 private:
  bool known() const { return !status_.run_id.empty(); }
  contract::StatusReport completed(contract::StatusReport status) const;

  std::mutex mutex_;
  contract::StatusReport status_;  // as the trainer said it last
  std::int64_t committed_ = 0;
  std::string trouble_, stuck_;
};

}  // namespace batchscope::app
