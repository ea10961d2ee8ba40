#pragma once

#include <cstdint>
#include <vector>

namespace batchscope::storage {

struct CurvePoint {
  double x = 0, y = 0;
};
/// What a chart draws of one series.
struct CurveView {
  std::vector<CurvePoint> points;   // in x order, finite; at most two per pixel column
  std::vector<std::size_t> breaks;  // indices into points before which the line is interrupted
                                    // (non-finite samples between)
  std::vector<CurvePoint>
      nonfinite;  // x of non-finite samples (y: NaN or ±inf), at most one per pixel column
  std::int64_t samples = 0;  // raw samples in view
  std::int64_t nonfinite_samples = 0;
  bool thinned = false;  // fewer points than samples
};

/// Min/max/first/last/count summaries per power of two over a series with non-decreasing x. append
/// is O(1) amortised, view costs by its pixels. No library of any kind: plain numbers.
class Pyramid {
 public:
  void append(double x, double y);
  void clear();
  std::size_t size() const { return x_.size(); }
  const std::vector<double>& x() const { return x_; }
  const std::vector<double>& y() const { return y_; }
  /// The curve in [x0, x1] for `pixels` columns: always contains the extreme values, the first and
  /// the last sample in view and its neighbours just outside; single-sample spikes survive at any
  /// zoom.
  CurveView view(double x0, double x1, int pixels) const;

 private:
  struct Node {
    double min = 0, max = 0, first = 0, last = 0;
    std::uint32_t min_at = 0, max_at = 0, finite = 0, count = 0;
  };
  std::vector<double> x_, y_;
  std::vector<std::vector<Node>> levels_;
};

}  // namespace batchscope::storage
