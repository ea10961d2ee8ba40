#include "optim/lr_ramp.h"

#include "optim/kernels/update_math.h"

namespace batchscope::optim {

double LrRamp::factor(std::int64_t module) const {
  if (!active()) {
    return 1;
  }
  const double first = start.at(static_cast<std::size_t>(module));
  if (rewarmup || first <= 0) {
    return static_cast<double>(done + 1) / static_cast<double>(length);
  }
  return math::geometric_ramp(first, done, length);
}

bool LrRamp::active() const {
  return !start.empty() && done < length;
}

}  // namespace batchscope::optim
