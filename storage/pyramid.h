#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace batchscope::storage {

struct CurvePoint {
  double x = 0, y = 0;
};
/// What a chart draws of one series.
struct CurveView {
  std::vector<CurvePoint> points;   // in x order, finite; in view at most max(4, 2 x pixels)
  std::vector<std::size_t> breaks;  // indices into points before which the line is interrupted
                                    // (non-finite samples between)
  std::vector<CurvePoint>
      nonfinite;  // x of non-finite samples (y: NaN or ±inf), at most one per pixel column
  std::int64_t samples = 0;  // raw samples in view
  std::int64_t nonfinite_samples = 0;
  bool thinned = false;  // fewer points than finite samples
};

/// Min/max summaries per power of two over a series with non-decreasing finite x. append is O(1)
/// amortised, view costs by its pixels. No library of any kind: plain numbers.
class Pyramid {
 public:
  void append(double x, double y);
  void clear();
  std::size_t size() const { return x_.size(); }
  const std::vector<double>& x() const { return x_; }
  const std::vector<double>& y() const { return y_; }
  /// The curve in [x0, x1] (infinite: to the end of the data) for `pixels` columns: always contains
  /// the extreme values, the first and the last finite sample in view and the samples just outside
  /// it if they are finite (so that the line runs to the edges); single-sample spikes survive at
  /// any zoom. Every point is a sample.
  CurveView view(double x0, double x1, int pixels) const;

 private:
  /// Where the extremes of a block of finite samples lie; kNone: none is finite.
  struct Extremes {
    static constexpr std::uint32_t kNone = 0xffffffff;
    std::uint32_t min_at = kNone, max_at = kNone;
  };
  static constexpr std::size_t kBlock = 16;  // raw samples per node of the lowest level

  bool finite(std::size_t at) const;
  void join(Extremes& into, const Extremes& other) const;
  void join(Extremes& into, std::size_t at) const;
  Extremes extremes(std::size_t begin, std::size_t end) const;
  std::size_t lower(double x, std::size_t from) const;
  void emit(CurveView& out, std::size_t at, std::size_t& previous) const;
  void thin(CurveView& out,
            std::size_t begin,
            std::size_t end,
            double x0,
            double x1,
            int pixels,
            std::size_t& previous) const;
  void mark_nonfinite(
      CurveView& out, std::size_t begin, std::size_t end, double x0, double x1, int pixels) const;

  std::vector<double> x_, y_;
  std::vector<std::vector<Extremes>> levels_;
  std::vector<std::uint32_t> bad_;  // indices of the samples that are not finite
};

}  // namespace batchscope::storage
