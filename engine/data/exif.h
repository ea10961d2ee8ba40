#pragma once

#include <cstdint>
#include <span>

namespace batchscope::train {

/// The orientation, 1…8 (1: as stored), that the APP1 segment of a JPEG file gives: tag 0x0112 of
/// the first directory (Exif 2.32, 4.6.5). 1 also where it says nothing, or anything else, and for
/// damaged segments. `segment`: what follows its two bytes of length.
int exif_orientation(std::span<const std::uint8_t> segment);

}  // namespace batchscope::train
