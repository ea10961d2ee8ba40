#include "engine/metrics/rle_polygon.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

// Where a result depends on it, operations are in the order of pycocotools' maskApi.c, including
// conversions that cut towards zero. Compiled without contraction to fused multiply-adds.

namespace batchscope::train {
namespace {

constexpr double kScale = 5;  // fifths of a pixel
constexpr double kFarthest = 1e8;
constexpr std::uint32_t kLargestSide = 1000000;  // a wider picture cannot be, and would cost memory

/// Half up, then cut towards zero, as maskApi.c converts: not the nearest below zero.
int rounded(double value) {
  const double half_up = value + .5;
  return static_cast<int>(half_up);
}

struct Corner {
  int x = 0, y = 0;  // in fifths
};

/// Places where the mask changes, as numbers of pixels down the columns.
class Crossings {
 public:
  Crossings(std::uint32_t height, std::uint32_t width, std::vector<std::uint32_t>& places)
      : height_(height), width_(width), places_(places) {}

  void edge(Corner a, Corner b) {
    const int dx = std::abs(b.x - a.x), dy = std::abs(b.y - a.y);
    if (dx == 0) {
      return;
    }
    if (dx >= dy ? a.x > b.x : a.y > b.y) {
      std::swap(a, b);
    }
    if (dx >= dy) {
      flat(a, b, static_cast<double>(b.y - a.y) / dx);
    } else {
      steep(a, b, static_cast<double>(b.x - a.x) / dy);
    }
  }

 private:
  /// A column's middle lies between the fifths 5·column + 2 and + 3.
  std::int64_t first_column(int low) const {
    return low <= 2 ? 0 : (std::int64_t{low} - 2 + 4) / 5;
  }
  std::int64_t last_column(int high) const {
    return std::min(std::int64_t{width_} - 1, high < 3 ? -1 : (std::int64_t{high} - 3) / 5);
  }
  void put(std::int64_t column, int y) {
    const double row =
        std::ceil(std::clamp((y + .5) / kScale - .5, 0.0, static_cast<double>(height_)));
    places_.push_back(static_cast<std::uint32_t>(column) * height_ +
                      static_cast<std::uint32_t>(row));
  }
  /// One point for each x of a.x … b.x.
  void flat(const Corner& a, const Corner& b, double slope) {
    const auto y = [&a, slope](std::int64_t x) {
      return rounded(a.y + slope * static_cast<double>(x - a.x));
    };
    const std::int64_t last = last_column(b.x);
    for (std::int64_t column = first_column(a.x); column <= last; ++column) {
      const std::int64_t x = 5 * column + 2;
      put(column, std::min(y(x), y(x + 1)));
    }
  }
  /// One point for each y of a.y … b.y; x changes by at most one between them.
  void steep(const Corner& a, const Corner& b, double slope) {
    const int height = b.y - a.y;
    const auto x = [&a, slope](int step) { return rounded(a.x + slope * step); };
    const std::int64_t last = last_column(std::max(a.x, b.x));
    for (std::int64_t column = first_column(std::min(a.x, b.x)); column <= last; ++column) {
      const auto low = static_cast<int>(5 * column + 2);
      // The first step on the other side of the middle: near the exact crossing.
      const auto over = [&](int step) { return slope > 0 ? x(step) > low : x(step) <= low; };
      int step = std::clamp(static_cast<int>((low + .5 - a.x) / slope), 1, height);
      while (step > 1 && over(step - 1)) {
        --step;
      }
      while (step < height && !over(step)) {
        ++step;
      }
      put(column, step - 1 + a.y);
    }
  }

  std::uint32_t height_, width_;
  std::vector<std::uint32_t>& places_;
};

/// Runs between sorted places. Empty runs fall away in pairs with the next, as in pycocotools.
Rle runs_between(std::vector<std::uint32_t>& places, std::uint32_t height, std::uint32_t width) {
  places.push_back(height * width);
  std::sort(places.begin(), places.end());
  Rle rle{height, width, {}};
  std::uint32_t before = 0;
  bool join = false;
  for (const std::uint32_t place : places) {
    const std::uint32_t run = place - before;
    before = place;
    if (join) {
      rle.counts.back() += run;
      join = false;
    } else if (run > 0 || rle.counts.empty()) {
      rle.counts.push_back(run);
    } else {
      join = true;
    }
  }
  return rle;
}

}  // namespace

Rle rle_from_polygon(std::span<const double> corners, std::uint32_t height, std::uint32_t width) {
  if (corners.size() % 2 != 0) {
    throw std::invalid_argument("a polygon of " + std::to_string(corners.size()) +
                                " numbers; expected x and y of each corner");
  }
  if (height > kLargestSide || width > kLargestSide ||
      std::uint64_t{height} * width > kMaxMaskPixels) {
    throw std::invalid_argument("polygons in a picture of " + std::to_string(height) + " x " +
                                std::to_string(width) + " (height x width)");
  }
  std::vector<Corner> fifths;
  fifths.reserve(corners.size() / 2 + 1);
  for (std::size_t i = 0; i < corners.size(); i += 2) {
    if (!(std::abs(corners[i]) <= kFarthest && std::abs(corners[i + 1]) <= kFarthest)) {
      throw std::invalid_argument("a corner that is more than 100000000 px away");
    }
    fifths.push_back({rounded(kScale * corners[i]), rounded(kScale * corners[i + 1])});
  }
  std::vector<std::uint32_t> places;
  Crossings crossings(height, width, places);
  for (std::size_t i = 0; i < fifths.size(); ++i) {
    crossings.edge(fifths[i], fifths[(i + 1) % fifths.size()]);
  }
  return runs_between(places, height, width);
}

Rle rle_from_box(const std::array<double, 4>& xywh, std::uint32_t height, std::uint32_t width) {
  const auto [x, y, w, h] = xywh;
  const std::array<double, 8> corners = {x, y, x, y + h, x + w, y + h, x + w, y};
  return rle_from_polygon(corners, height, width);
}

}  // namespace batchscope::train
