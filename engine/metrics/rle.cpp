#include "engine/metrics/rle.h"

#include <algorithm>
#include <stdexcept>

namespace batchscope::train {
namespace {

/// Goes through the runs of a mask.
class Runs {
 public:
  explicit Runs(const Rle& rle)
      : at_(rle.counts.data()), end_(rle.counts.data() + rle.counts.size()) {
    left_ = at_ == end_ ? 0 : *at_++;
    next();
  }
  bool done() const { return left_ == 0; }
  bool inside() const { return inside_; }
  std::uint32_t left() const { return left_; }
  void take(std::uint32_t count) {
    left_ -= count;
    next();
  }

 private:
  void next() {
    while (left_ == 0 && at_ != end_) {
      left_ = *at_++;
      inside_ = !inside_;
    }
  }
  const std::uint32_t* at_;
  const std::uint32_t* end_;
  std::uint32_t left_ = 0;
  bool inside_ = false;
};

/// Puts runs together to a canonical mask.
class Builder {
 public:
  Builder(std::uint32_t height, std::uint32_t width) : rle_{height, width, {}} {}
  void add(bool inside, std::uint32_t count) {
    if (count == 0) {
      return;
    }
    if (inside != inside_) {
      rle_.counts.push_back(run_);
      run_ = 0;
      inside_ = inside;
    }
    run_ += count;
  }
  Rle finish() {
    if (run_ > 0 || rle_.counts.empty()) {
      rle_.counts.push_back(run_);
    }
    return std::move(rle_);
  }

 private:
  Rle rle_;
  bool inside_ = false;
  std::uint32_t run_ = 0;
};

Rle merge_two(const Rle& first, const Rle& second, bool intersect) {
  if (first.height != second.height || first.width != second.width) {
    throw std::invalid_argument("masks of different sizes cannot be merged");
  }
  Runs a(first), b(second);
  Builder out(first.height, first.width);
  while (!a.done() && !b.done()) {
    const std::uint32_t step = std::min(a.left(), b.left());
    const bool inside = intersect ? a.inside() && b.inside() : a.inside() || b.inside();
    out.add(inside, step);
    a.take(step);
    b.take(step);
  }
  return out.finish();
}

}  // namespace

Rle rle_from_counts(std::span<const std::uint32_t> counts,
                    std::uint32_t height,
                    std::uint32_t width) {
  Builder out(height, width);
  const std::uint64_t pixels = std::uint64_t{height} * width;
  if (pixels > kMaxMaskPixels) {
    throw std::invalid_argument("the mask has " + std::to_string(pixels) +
                                " pixels; at most 2147483648 can be read");
  }
  std::uint64_t sum = 0;
  bool inside = false;
  for (const std::uint32_t count : counts) {
    sum += count;
    if (sum > pixels) {
      break;
    }
    out.add(inside, count);
    inside = !inside;
  }
  if (sum != pixels) {
    throw std::invalid_argument("the runs sum to " + std::string(sum > pixels ? "more than " : "") +
                                std::to_string(std::min(sum, pixels)) + " pixels; expected " +
                                std::to_string(height) + " x " + std::to_string(width) + " = " +
                                std::to_string(pixels));
  }
  return out.finish();
}

Rle rle_from_mask(std::span<const std::uint8_t> mask, std::uint32_t height, std::uint32_t width) {
  if (mask.size() != std::uint64_t{height} * width || mask.size() > kMaxMaskPixels) {
    throw std::invalid_argument("a mask of " + std::to_string(mask.size()) + " values is not " +
                                std::to_string(height) + " x " + std::to_string(width));
  }
  Builder out(height, width);
  for (std::size_t x = 0; x < width; ++x) {
    const std::uint8_t* pixel = mask.data() + x;
    for (std::uint32_t y = 0; y < height; ++y, pixel += width) {
      out.add(*pixel != 0, 1);
    }
  }
  return out.finish();
}

std::vector<std::uint8_t> rle_to_mask(const Rle& rle) {
  std::vector<std::uint8_t> mask(rle.pixels());
  std::size_t x = 0, y = 0;
  for (Runs runs(rle); !runs.done(); runs.take(1)) {
    mask[y * rle.width + x] = runs.inside() ? 1 : 0;
    if (++y == rle.height) {
      y = 0;
      ++x;
    }
  }
  return mask;
}

std::uint64_t rle_area(const Rle& rle) {
  std::uint64_t area = 0;
  for (std::size_t i = 1; i < rle.counts.size(); i += 2) {
    area += rle.counts[i];
  }
  return area;
}

std::array<double, 4> rle_box(const Rle& rle) {
  if (rle.counts.size() < 2) {
    return {0, 0, 0, 0};
  }
  std::uint64_t left = rle.width, top = rle.height, right = 0, bottom = 0, end = 0;
  for (std::size_t i = 0; i + 1 < rle.counts.size(); i += 2) {
    const std::uint64_t begin = end + rle.counts[i];
    end = begin + rle.counts[i + 1];
    const std::uint64_t first = begin / rle.height, last = (end - 1) / rle.height;
    left = std::min(left, first);
    right = std::max(right, last);
    if (first < last) {
      top = 0;
      bottom = rle.height - 1;
    } else {
      top = std::min(top, begin - first * rle.height);
      bottom = std::max(bottom, end - 1 - last * rle.height);
    }
  }
  return {static_cast<double>(left),
          static_cast<double>(top),
          static_cast<double>(right - left + 1),
          static_cast<double>(bottom - top + 1)};
}

Rle rle_merge(std::span<const Rle> masks, bool intersect) {
  Rle merged;
  for (std::size_t i = 0; i < masks.size(); ++i) {
    merged = i == 0 ? masks[i] : merge_two(merged, masks[i], intersect);
  }
  return merged;
}

double rle_iou(const Rle& detection, const Rle& truth, bool crowd) {
  std::uint64_t both = 0;
  Runs d(detection), t(truth);
  while (!d.done() && !t.done()) {
    const std::uint32_t step = std::min(d.left(), t.left());
    both += d.inside() && t.inside() ? step : 0;
    d.take(step);
    t.take(step);
  }
  if (both == 0) {
    return 0;
  }
  const std::uint64_t area = rle_area(detection);
  const std::uint64_t all = crowd ? area : area + rle_area(truth) - both;
  return static_cast<double>(both) / static_cast<double>(all);
}

}  // namespace batchscope::train
