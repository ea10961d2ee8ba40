#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace batchscope::train {

/// A binary mask as COCO keeps it: lengths of the runs of 0, 1, 0, … down the columns, from the
/// left. Canonical: no run but the first is empty, and the lengths sum to height · width.
struct Rle {
  std::uint32_t height = 0, width = 0;
  std::vector<std::uint32_t> counts;

  std::uint64_t pixels() const { return std::uint64_t{height} * width; }
  bool operator==(const Rle&) const = default;
};

/// Pictures of more pixels are refused.
inline constexpr std::uint64_t kMaxMaskPixels = std::uint64_t{1} << 31;

/// COCO's uncompressed form. Empty runs inside are taken out. Throws std::invalid_argument when the
/// lengths do not sum to height · width, or the picture is too large.
Rle rle_from_counts(std::span<const std::uint32_t> counts,
                    std::uint32_t height,
                    std::uint32_t width);
/// COCO's compressed form: the text of "counts". Throws std::invalid_argument also for a character
/// or a length that cannot be.
Rle rle_from_text(std::string_view text, std::uint32_t height, std::uint32_t width);
std::string rle_to_text(const Rle& rle);
/// mask: [height, width], row by row; every value but 0 is inside.
Rle rle_from_mask(std::span<const std::uint8_t> mask, std::uint32_t height, std::uint32_t width);
/// 0 and 1, [height, width], row by row.
std::vector<std::uint8_t> rle_to_mask(const Rle& rle);

/// Pixels inside.
std::uint64_t rle_area(const Rle& rle);
/// x y w h of the pixels inside, in whole pixels; 0 0 0 0 when there are none. As pycocotools'
/// toBbox: a run that goes on in the next column makes the box as high as the picture.
std::array<double, 4> rle_box(const Rle& rle);
/// Union, or intersection, of masks of one size; an empty list gives a mask of 0 x 0. Throws
/// std::invalid_argument when the sizes differ.
Rle rle_merge(std::span<const Rle> masks, bool intersect = false);
/// Intersection over union; for a crowd, over the detection's area. 0 where nothing is shared.
/// Both of one size.
double rle_iou(const Rle& detection, const Rle& truth, bool crowd);

}  // namespace batchscope::train
