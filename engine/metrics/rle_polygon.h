#pragma once

#include "engine/metrics/rle.h"

namespace batchscope::train {

/// The pixels of a polygon, exactly those of pycocotools' rleFrPoly: corners are rounded to a fifth
/// of a pixel, edges drawn between them, and a column's pixels lie between the edges' crossings of
/// its middle. corners: x y x y …, in pixels, outside of the picture too. Fewer than three corners
/// give what pycocotools gives, as a rule nothing. Throws std::invalid_argument: an odd count of
/// numbers, a corner more than 10^8 px away or not a number, a picture of more
/// than 2^31 pixels or 10^6 in a side.
Rle rle_from_polygon(std::span<const double> corners, std::uint32_t height, std::uint32_t width);

/// rle_from_polygon of the box's corners.
Rle rle_from_box(const std::array<double, 4>& xywh, std::uint32_t height, std::uint32_t width);

}  // namespace batchscope::train
