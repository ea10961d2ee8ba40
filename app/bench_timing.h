#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

namespace batchscope {

/// Wall time of one call of f().
template <typename F>
double milliseconds(const F& f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

/// The middle value, the upper one of an even number of values; at least one value.
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace batchscope
