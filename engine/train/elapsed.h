#pragma once

#include <chrono>

namespace batchscope::train {

using MonotonicClock = std::chrono::steady_clock;

/// Milliseconds that have passed since `start`.
inline double ms_since(MonotonicClock::time_point start) {
  return std::chrono::duration<double, std::milli>(MonotonicClock::now() - start).count();
}

}  // namespace batchscope::train
