#pragma once

#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define BATCHSCOPE_HOST_DEVICE __host__ __device__ inline
#else
#define BATCHSCOPE_HOST_DEVICE inline
#endif

/// The arithmetic of roi_align, once for the CPU and the CUDA kernel.
namespace batchscope::models::roi {

/// The four pixels around a sample point (offsets in a plane) and their weights; weights are 0 for
/// a point outside.
template <typename Scalar>
struct Tap {
  std::int32_t at[4];
  Scalar weight[4];
};

/// One region on the feature map.
template <typename Scalar>
struct Region {
  Scalar start_y, start_x, bin_height, bin_width;
  std::int64_t grid_y, grid_x;  // samples per bin
};

/// Samples across a bin of this size: one per feature pixel; none for an empty or non-finite bin.
template <typename Scalar>
BATCHSCOPE_HOST_DEVICE std::int64_t adaptive_grid(Scalar bin) {
  return bin > Scalar(0) && bin < Scalar(1e6) ? static_cast<std::int64_t>(ceil(bin)) : 0;
}

template <typename Scalar>
BATCHSCOPE_HOST_DEVICE Region<Scalar> make_region(const Scalar* roi,
                                                  Scalar scale,
                                                  bool aligned,
                                                  std::int64_t pooled_height,
                                                  std::int64_t pooled_width,
                                                  std::int64_t sampling_ratio) {
  const Scalar offset = aligned ? Scalar(0.5) : Scalar(0);
  Region<Scalar> r;
  r.start_x = roi[1] * scale - offset;
  r.start_y = roi[2] * scale - offset;
  Scalar width = roi[3] * scale - offset - r.start_x;
  Scalar height = roi[4] * scale - offset - r.start_y;
  if (!aligned) {  // the first form of the operator made every region at least one pixel large
    width = width > Scalar(1) ? width : Scalar(1);
    height = height > Scalar(1) ? height : Scalar(1);
  }
  r.bin_height = height / static_cast<Scalar>(pooled_height);
  r.bin_width = width / static_cast<Scalar>(pooled_width);
  r.grid_y = sampling_ratio > 0 ? sampling_ratio : adaptive_grid(r.bin_height);
  r.grid_x = sampling_ratio > 0 ? sampling_ratio : adaptive_grid(r.bin_width);
  return r;
}

/// The sample (iy, ix) of bin (ph, pw).
template <typename Scalar>
BATCHSCOPE_HOST_DEVICE Tap<Scalar> make_tap(const Region<Scalar>& r,
                                            std::int64_t ph,
                                            std::int64_t pw,
                                            std::int64_t iy,
                                            std::int64_t ix,
                                            std::int64_t height,
                                            std::int64_t width) {
  Scalar y = r.start_y + static_cast<Scalar>(ph) * r.bin_height +
             (static_cast<Scalar>(iy) + Scalar(.5)) * r.bin_height / static_cast<Scalar>(r.grid_y);
  Scalar x = r.start_x + static_cast<Scalar>(pw) * r.bin_width +
             (static_cast<Scalar>(ix) + Scalar(.5)) * r.bin_width / static_cast<Scalar>(r.grid_x);
  Tap<Scalar> tap{};
  // Written so that a NaN is outside.
  if (!(y >= Scalar(-1) && y <= static_cast<Scalar>(height) && x >= Scalar(-1) &&
        x <= static_cast<Scalar>(width))) {
    return tap;
  }
  y = y > Scalar(0) ? y : Scalar(0);
  x = x > Scalar(0) ? x : Scalar(0);
  auto y_low = static_cast<std::int64_t>(y);
  auto x_low = static_cast<std::int64_t>(x);
  std::int64_t y_high = y_low + 1;
  std::int64_t x_high = x_low + 1;
  if (y_low >= height - 1) {
    y_high = y_low = height - 1;
    y = static_cast<Scalar>(y_low);
  }
  if (x_low >= width - 1) {
    x_high = x_low = width - 1;
    x = static_cast<Scalar>(x_low);
  }
  const Scalar ly = y - static_cast<Scalar>(y_low);
  const Scalar lx = x - static_cast<Scalar>(x_low);
  const Scalar hy = Scalar(1) - ly;
  const Scalar hx = Scalar(1) - lx;
  tap.at[0] = static_cast<std::int32_t>(y_low * width + x_low);
  tap.at[1] = static_cast<std::int32_t>(y_low * width + x_high);
  tap.at[2] = static_cast<std::int32_t>(y_high * width + x_low);
  tap.at[3] = static_cast<std::int32_t>(y_high * width + x_high);
  tap.weight[0] = hy * hx;
  tap.weight[1] = hy * lx;
  tap.weight[2] = ly * hx;
  tap.weight[3] = ly * lx;
  return tap;
}

}  // namespace batchscope::models::roi
