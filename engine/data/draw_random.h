#pragma once

#include "engine/data/loader.h"

#include <array>
#include <cmath>
#include <cstdint>

namespace batchscope::train {

/// A small fast stream of random numbers for drawing pictures: xoshiro256++ (Blackman, Vigna 2019),
/// started by SplitMix64. One thread.
class DrawRandom {
 public:
  explicit DrawRandom(std::uint64_t seed) {
    for (std::uint64_t i = 0; i < 4; ++i) {
      state_[i] = mix_seed(seed, i, 0, kSeedPicture);
    }
  }

  std::uint64_t next() {
    const std::uint64_t result = rotate(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  /// Uniform in 0…bound-1 (Lemire 2019, without bias); bound > 0.
  std::uint64_t below(std::uint64_t bound) {
    __extension__ using Wide = unsigned __int128;
    Wide product = static_cast<Wide>(next()) * bound;
    if (static_cast<std::uint64_t>(product) < bound) {
      const std::uint64_t threshold = (0 - bound) % bound;
      while (static_cast<std::uint64_t>(product) < threshold) {
        product = static_cast<Wide>(next()) * bound;
      }
    }
    return static_cast<std::uint64_t>(product >> 64);
  }

  /// Standard normal: the ziggurat of Doornik (2005) with 128 layers.
  double normal() {
    static const Ziggurat table;
    for (;;) {
      const std::uint64_t bits = next();
      const std::size_t layer = bits & 127;
      const double u = static_cast<double>(bits >> 11) * 0x1p-52 - 1.0;
      if (std::abs(u) < table.ratio[layer]) {
        return u * table.x[layer];
      }
      if (layer == 0) {
        return tail(u < 0);
      }
      const double x = u * table.x[layer];
      const double above = std::exp(-0.5 * (table.x[layer] * table.x[layer] - x * x));
      const double below_it = std::exp(-0.5 * (table.x[layer + 1] * table.x[layer + 1] - x * x));
      if (below_it + uniform() * (above - below_it) < 1.0) {
        return x;
      }
    }
  }

 private:
  static constexpr double kRight = 3.442619855899;      // where the tail begins
  static constexpr double kArea = 9.91256303526217e-3;  // of each layer

  struct Ziggurat {
    std::array<double, 129> x{};
    std::array<double, 128> ratio{};
    Ziggurat() {
      double f = std::exp(-0.5 * kRight * kRight);
      x[0] = kArea / f;
      x[1] = kRight;
      for (std::size_t i = 2; i < 128; ++i) {
        x[i] = std::sqrt(-2.0 * std::log(kArea / x[i - 1] + f));
        f = std::exp(-0.5 * x[i] * x[i]);
      }
      x[128] = 0;
      for (std::size_t i = 0; i < 128; ++i) {
        ratio[i] = x[i + 1] / x[i];
      }
    }
  };

  static std::uint64_t rotate(std::uint64_t v, int k) { return (v << k) | (v >> (64 - k)); }

  double tail(bool negative) {
    double x = 0, y = 0;
    do {
      x = std::log(1.0 - uniform()) / kRight;
      y = std::log(1.0 - uniform());
    } while (-2.0 * y < x * x);
    return negative ? x - kRight : kRight - x;
  }

  std::array<std::uint64_t, 4> state_{};
};

}  // namespace batchscope::train
