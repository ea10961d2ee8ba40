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

/// Whether an evaluation could measure it: COCO gives -1 where there is nothing to measure (no large
/// object, a class without truth). People read "-" there.
bool is_measured(double figure);

}  // namespace batchscope::storage
