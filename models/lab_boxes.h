#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

/// Box arithmetic of the lab model on plain numbers: for arrays this small, loops cost a tenth of
/// tensor operations. The order of operations is the reference's, so that thresholds fall alike.
/// Source: the lab script that the model reproduces (docs name it "the lab script").
namespace batchscope::models::lab {

template <typename T>
struct Box {
  T x1, y1, x2, y2;
};

/// Centre and size offsets of a truth against a box; unitless.
template <typename T>
struct Offsets {
  T dx, dy, dw, dh;
};

template <typename T>
T area(const Box<T>& b) {
  return std::max<T>(b.x2 - b.x1, 0) * std::max<T>(b.y2 - b.y1, 0);
}

/// Intersection over union, 1e-6 in the denominator; 0…1.
template <typename T>
T iou(const Box<T>& a, const Box<T>& b) {
  const T width = std::max<T>(std::min(a.x2, b.x2) - std::max(a.x1, b.x1), 0);
  const T height = std::max<T>(std::min(a.y2, b.y2) - std::max(a.y1, b.y1), 0);
  const T inter = width * height;
  return inter / (area(a) + area(b) - inter + T(1e-6));
}

/// Offsets that turn `from` into `truth`; a truth counts as at least one pixel wide and high.
template <typename T>
Offsets<T> encode(const Box<T>& from, const Box<T>& truth) {
  const T from_w = from.x2 - from.x1, from_h = from.y2 - from.y1;
  const T w = std::max<T>(truth.x2 - truth.x1, 1), h = std::max<T>(truth.y2 - truth.y1, 1);
  return {((truth.x1 + w / 2) - (from.x1 + from_w / 2)) / from_w,
          ((truth.y1 + h / 2) - (from.y1 + from_h / 2)) / from_h,
          std::log(w / from_w),
          std::log(h / from_h)};
}

/// Inside 0…width and 0…height; NaN stays NaN.
template <typename T>
Box<T> clip(const Box<T>& b, T width, T height) {
  return {std::clamp<T>(b.x1, 0, width),
          std::clamp<T>(b.y1, 0, height),
          std::clamp<T>(b.x2, 0, width),
          std::clamp<T>(b.y2, 0, height)};
}

/// The box that offsets make of `from`: sizes change by a factor of at most e², clipped to the
/// picture.
template <typename T>
Box<T> decode(const Box<T>& from, const Offsets<T>& d, T width, T height) {
  const T from_w = from.x2 - from.x1, from_h = from.y2 - from.y1;
  const T cx = from.x1 + from_w / 2 + d.dx * from_w;
  const T cy = from.y1 + from_h / 2 + d.dy * from_h;
  const T w = from_w * std::exp(std::clamp<T>(d.dw, -2, 2));
  const T h = from_h * std::exp(std::clamp<T>(d.dh, -2, 2));
  return clip<T>({cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2}, width, height);
}

/// At least 2 px wide and high around the same centre; NaN becomes 0.
template <typename T>
Box<T> widen(const Box<T>& b) {
  const auto lower_half = [](T lo, T hi) {
    const T half = (hi - lo) / 2;
    return half < 1 ? T(1) : half;
  };
  const auto number = [](T v) { return std::isnan(v) ? T(0) : v; };
  const T cx = (b.x1 + b.x2) / 2, cy = (b.y1 + b.y2) / 2;
  const T hw = lower_half(b.x1, b.x2), hh = lower_half(b.y1, b.y2);
  return {number(cx - hw), number(cy - hh), number(cx + hw), number(cy + hh)};
}

/// One square anchor per cell: 10 px at stride 4, then 16 px at stride 8, each row by row. The
/// sides are multiples of 8.
template <typename T>
std::vector<Box<T>> make_anchors(std::int64_t height, std::int64_t width) {
  std::vector<Box<T>> anchors;
  for (const auto& [stride, side] : {std::pair<std::int64_t, T>{4, 10}, {8, 16}}) {
    for (std::int64_t y = 0; y < height / stride; ++y) {
      for (std::int64_t x = 0; x < width / stride; ++x) {
        const T cx = (static_cast<T>(x) + T(.5)) * static_cast<T>(stride);
        const T cy = (static_cast<T>(y) + T(.5)) * static_cast<T>(stride);
        anchors.push_back({cx - side / 2, cy - side / 2, cx + side / 2, cy + side / 2});
      }
    }
  }
  return anchors;
}

}  // namespace batchscope::models::lab
