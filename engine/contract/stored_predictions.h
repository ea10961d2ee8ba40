#pragma once

#include <cstddef>

namespace batchscope::contract {

/// What a run keeps of the boxes that are predicted on a fixed picture: the best so many, of no
/// lower score.
inline constexpr std::size_t kMostStoredBoxes = 50;
inline constexpr double kLowestStoredScore = 0.05;

}  // namespace batchscope::contract
