#pragma once

#include "engine/contract/messages.h"

#include <chrono>

namespace batchscope::app {

/// A training's progress on stderr: a bar that redraws itself on a terminal, else a line every ten
/// seconds and at every change of phase.
class Progress {
 public:
  Progress();
  void show(const contract::StatusReport& status, double loss);
  /// Leaves an empty line for what comes next.
  static void clear();

 private:
  using Clock = std::chrono::steady_clock;
  void draw(const contract::StatusReport& status, double loss) const;
  bool terminal_;
  std::string phase_;
  Clock::time_point last_{};
};

}  // namespace batchscope::app
