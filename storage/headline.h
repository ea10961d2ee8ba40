#pragma once

#include <map>
#include <optional>
#include <string>

namespace batchscope::storage {

/// A figure with its name, as lists show it.
struct Headline {
  std::string name;
  double value = 0;
};

/// The figure that sums up an evaluation: PQ (panoptic), else AP, segm_AP or mIoU, the first that
/// it has and that is not -1 (nothing to measure). Nothing where there is none of them.
std::optional<Headline> headline(const std::map<std::string, double>& metrics);

}  // namespace batchscope::storage
