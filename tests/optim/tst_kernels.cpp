#include "optim/kernels/multi_tensor.h"
#include "tests/support/test_program.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <QtTest>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace batchscope::optim;
using namespace batchscope::optim::kernels;

namespace {

/// Sizes of one call: none, one, odd tails of vectors, runs and blocks, and one of many blocks.
const std::vector<std::int64_t> kSizes = {
    0, 1, 7, 31, 33, 1023, 1025, 0, 16383, 16384, 16391, 70001, 200003};

/// Largest error of float32 kernels, of each array's largest number.
constexpr double kFloatBound = 3e-6, kDoubleBound = 1e-13;

/// Random numbers without torch's help: the same ones in every precision.
double noise(std::uint64_t& x) {
  x = x * 6364136223846793005ULL + 1442695040888963407ULL;
  return static_cast<double>(x >> 11) / 9007199254740992.0 - 0.5;
}

/// One tensor in the kernels' precision, and in float64 for the plain loops.
template <typename T>
struct Arrays {
  std::vector<T> w, g, m, v;
  std::vector<double> w64, g64, m64, v64;
  Arrays(std::int64_t n, std::uint64_t seed) {
    for (std::int64_t i = 0; i < n; ++i) {
      put(w, w64, noise(seed));
      put(g, g64, 0.1 * noise(seed));
      put(m, m64, 0.05 * noise(seed));
      const double root = 0.1 * noise(seed);
      put(v, v64, root * root + 1e-6);
    }
  }
  static void put(std::vector<T>& narrow, std::vector<double>& wide, double x) {
    narrow.push_back(static_cast<T>(x));
    wide.push_back(static_cast<double>(narrow.back()));
  }
};

template <typename T>
struct Set {
  std::vector<Arrays<T>> arrays;
  std::vector<Piece> pieces;
  std::vector<Sums> sums;
  Set() {
    std::uint64_t seed = 1;
    for (const std::int64_t n : kSizes) {
      arrays.emplace_back(n, ++seed * 7919);
    }
    for (Arrays<T>& a : arrays) {
      Piece p;
      p.w = a.w.data();
      p.g = a.g.data();
      p.m = a.m.data();
      p.v = a.v.data();
      p.elements = static_cast<std::int64_t>(a.w.size());
      p.decay = pieces.size() % 3 == 0 ? 0.0 : 0.01;
      p.factor = -0.1;
      pieces.push_back(p);
    }
    sums.resize(pieces.size());
  }
};

template <typename T>
constexpr Dtype kDtype = sizeof(T) == 8 ? Dtype::kFloat64 : Dtype::kFloat32;

template <typename T>
double bound() {
  return sizeof(T) == 8 ? kDoubleBound : kFloatBound;
}

/// Largest difference, of the largest reference number.
template <typename T>
double gap(const std::vector<T>& x, const std::vector<double>& reference) {
  double difference = 0, largest = 1e-300;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = std::abs(static_cast<double>(x[i]) - reference[i]);
    difference = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(difference, d);
    largest = std::max(largest, std::abs(reference[i]));
  }
  return difference / largest;
}

double squares(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) {
    sum += value * value;
  }
  return sum;
}

bool close(double a, double b, double relative) {
  return std::abs(a - b) <= relative * std::abs(b);
}

struct Variant {
  const char* name;
  bool adapts, stores, readout, norms;
};
constexpr Variant kVariants[] = {{"adamw", false, false, false, true},
                                 {"adamw without norms", false, false, false, false},
                                 {"lamb", true, false, false, true},
                                 {"lamb without norms", true, false, false, false},
                                 {"pmd readout", true, false, true, true},
                                 {"preview", true, true, false, false},
                                 {"readout preview", false, true, true, true}};

AdaptiveStep adaptive_plan(const Variant& v) {
  AdaptiveStep s;
  s.clip = 0.7;
  s.store1 = math::blend(0.9);
  s.store2 = math::blend(0.99);
  s.read1 = v.readout ? math::blend_moment_scale(0.9, 0.4) : s.store1;
  s.read2 = v.readout ? math::blend_moment_scale(0.99, 0.4) : s.store2;
  s.readout = v.readout;
  s.mass1 = 0.8;
  s.mass2 = 0.6;
  s.eps = 1e-6;
  s.trust = {true, 0.01, 10};
  s.norms = v.norms;
  return s;
}

/// The update in plain float64 loops, straight from algorithms.md 3, 5 and 6.
template <typename T>
Sums adaptive_reference(Arrays<T>& a, const Piece& p, const AdaptiveStep& s, const Variant& v) {
  Sums sums;
  std::vector<double> u;
  sums.w = squares(a.w64);
  for (std::size_t i = 0; i < a.w64.size(); ++i) {
    const double g = s.clip * a.g64[i];
    const double m_read = s.read1.keep * a.m64[i] + s.read1.gain * g;
    const double v_read = s.read2.keep * a.v64[i] + s.read2.gain * g * g;
    a.m64[i] = 0.9 * a.m64[i] + (1 - 0.9) * g;
    a.v64[i] = 0.99 * a.v64[i] + (1 - 0.99) * g * g;
    u.push_back(m_read / s.mass1 / (std::sqrt(v_read / s.mass2) + s.eps) + p.decay * a.w64[i]);
  }
  sums.u = squares(u);
  sums.m = squares(a.m64);
  sums.v = squares(a.v64);
  double trust = 1;
  if (v.adapts && sums.w > 0 && sums.u > 0) {
    trust = std::clamp(std::sqrt(sums.w) / std::sqrt(sums.u), 0.01, 10.0);
  }
  for (std::size_t i = 0; i < u.size(); ++i) {
    if (v.stores) {
      a.g64[i] = u[i];
    } else {
      a.w64[i] -= 0.1 * trust * u[i];
    }
  }
  return sums;
}

template <typename T>
std::string all_bits(const Set<T>& set) {
  std::string bits;
  const auto add = [&](const void* memory, std::size_t bytes) {
    bits.append(static_cast<const char*>(memory), bytes);
  };
  for (std::size_t k = 0; k < set.pieces.size(); ++k) {
    const Arrays<T>& a = set.arrays[k];
    for (const auto* x : {&a.w, &a.m, &a.v}) {
      add(x->data(), x->size() * sizeof(T));
    }
    add(&set.sums[k], sizeof(Sums));
    add(&set.pieces[k].trust, sizeof(double));
  }
  return bits;
}

}  // namespace

/// Every kernel of the CPU against plain float64 loops, at the sizes where loops go wrong.
class TestKernels : public QObject {
  Q_OBJECT

 private:
  template <typename T>
  void adaptive_as(const Variant& variant) {
    Set<T> set;
    const AdaptiveStep step = adaptive_plan(variant);
    for (Piece& p : set.pieces) {
      p.adapts = variant.adapts;
      p.stores = variant.stores;
    }
    std::vector<Arrays<T>> expected = set.arrays;
    adaptive_step(kDtype<T>, step, set.pieces, set.sums);
    for (std::size_t k = 0; k < set.pieces.size(); ++k) {
      const Sums sums = adaptive_reference(expected[k], set.pieces[k], step, variant);
      const Arrays<T>& a = set.arrays[k];
      QVERIFY2(gap(a.w, expected[k].w64) < bound<T>(), variant.name);
      QVERIFY2(gap(a.m, expected[k].m64) < bound<T>(), variant.name);
      QVERIFY2(gap(a.v, expected[k].v64) < bound<T>(), variant.name);
      if (variant.stores) {
        QVERIFY2(gap(a.g, expected[k].g64) < bound<T>(), variant.name);
      }
      if (variant.norms) {
        // For a trust ratio, float32's squares are summed in float32.
        QVERIFY(close(set.sums[k].w, sums.w, variant.adapts ? bound<T>() : 1e-12));
        QVERIFY(close(set.sums[k].u, sums.u, bound<T>()));
        QVERIFY(close(set.sums[k].m, sums.m, bound<T>()));
        QVERIFY(close(set.sums[k].v, sums.v, bound<T>()));
      }
    }
  }

  template <typename T>
  void momentum_as(bool nesterov, bool norms) {
    Set<T> set;
    MomentumStep step;
    step.clip = 0.7;
    step.gain = 0.8;
    step.own = nesterov ? 1 : 0;
    step.buffer = nesterov ? 0.9 : 1;
    step.norms = norms;
    for (Piece& p : set.pieces) {
      p.keep = 0.9;
      p.scale = 0.02;
    }
    set.pieces[2].stores = true;
    std::vector<Arrays<T>> expected = set.arrays;
    momentum_step(kDtype<T>, step, set.pieces, set.sums);
    for (std::size_t k = 0; k < set.pieces.size(); ++k) {
      Arrays<T>& e = expected[k];
      const double w = squares(e.w64);
      std::vector<double> u;
      for (std::size_t i = 0; i < e.w64.size(); ++i) {
        const double d = 0.02 * (0.7 * e.g64[i] + set.pieces[k].decay * e.w64[i]);
        e.m64[i] = 0.9 * e.m64[i] + 0.8 * d;
        u.push_back(nesterov ? d + 0.9 * e.m64[i] : e.m64[i]);
        if (k == 2) {
          e.g64[i] = u.back();
        } else {
          e.w64[i] -= 0.1 * u.back();
        }
      }
      QVERIFY(gap(set.arrays[k].w, e.w64) < bound<T>());
      QVERIFY(gap(set.arrays[k].m, e.m64) < bound<T>());
      QVERIFY(gap(set.arrays[k].g, e.g64) < bound<T>());
      if (norms) {
        QVERIFY(close(set.sums[k].w, w, 1e-12));
        QVERIFY(close(set.sums[k].u, squares(u), bound<T>()));
        QVERIFY(close(set.sums[k].m, squares(e.m64), bound<T>()));
      }
    }
  }

  template <typename T>
  void halves_as(double weight, bool in_place) {
    Set<T> set;
    std::vector<HalfPiece> pieces;
    std::vector<std::vector<T>> means;
    for (Arrays<T>& a : set.arrays) {
      means.emplace_back(a.g.size());
      pieces.push_back({a.g.data(),
                        a.m.data(),
                        in_place ? a.g.data() : means.back().data(),
                        a.v.data(),
                        static_cast<std::int64_t>(a.g.size())});
    }
    std::vector<HalfSums> conditioned(pieces.size()), sums(pieces.size());
    const math::Preconditioner<double> rule = {0.5, 0.9, 0.1, 1e-6};
    preconditioned_half_products(kDtype<T>, pieces, rule, conditioned);
    half_products(kDtype<T>, pieces, weight, sums);
    for (std::size_t k = 0; k < pieces.size(); ++k) {
      const Arrays<T>& a = set.arrays[k];
      HalfSums plain, pre;
      std::vector<double> mean;
      for (std::size_t i = 0; i < a.g64.size(); ++i) {
        const double x = a.g64[i], y = a.m64[i];
        plain.d12 += x * y;
        mean.push_back((1 - weight) * x + weight * y);
        const auto scaled = [&](double g) {
          g *= 0.5;
          return g / (std::sqrt(0.9 * a.v64[i] + 0.1 * g * g) + 1e-6);
        };
        pre.d12 += scaled(x) * scaled(y);
        pre.d11 += scaled(x) * scaled(x);
        pre.d22 += scaled(y) * scaled(y);
      }
      const double d11 = squares(a.g64), d22 = squares(a.m64);
      const double scale = std::sqrt(d11 * d22);
      QVERIFY(std::abs(sums[k].d12 - plain.d12) <= bound<T>() * scale);
      QVERIFY(close(sums[k].d11, d11, bound<T>()) && close(sums[k].d22, d22, bound<T>()));
      QVERIFY(gap(in_place ? a.g : means[k], mean) < bound<T>());
      QVERIFY(close(sums[k].mean, squares(mean), bound<T>()));
      QVERIFY(std::abs(conditioned[k].d12 - pre.d12) <= bound<T>() * std::sqrt(pre.d11 * pre.d22));
      QVERIFY(close(conditioned[k].d11, pre.d11, bound<T>()));
      QVERIFY(close(conditioned[k].d22, pre.d22, bound<T>()));
    }
  }

 private Q_SLOTS:
  void adaptive_data() {
    QTest::addColumn<int>("index");
    for (int i = 0; i < static_cast<int>(std::size(kVariants)); ++i) {
      QTest::newRow(kVariants[i].name) << i;
    }
  }
  void adaptive() {
    QFETCH(int, index);
    adaptive_as<float>(kVariants[index]);
    adaptive_as<double>(kVariants[index]);
  }

  void momentum() {
    for (const bool nesterov : {false, true}) {
      for (const bool norms : {false, true}) {
        momentum_as<float>(nesterov, norms);
        momentum_as<double>(nesterov, norms);
      }
    }
  }

  void halves() {
    for (const double weight : {0.5, 0.25, 0.75}) {
      for (const bool in_place : {false, true}) {
        halves_as<float>(weight, in_place);
        halves_as<double>(weight, in_place);
      }
    }
  }

  /// Squares that float32 cannot hold, at a place in the middle of a run and in a tail.
  void squares_beyond_float() {
    for (const float extreme : {1e25F, 1e-30F, 3e38F, 1e-44F}) {
      for (const std::size_t n : {5U, 1024U, 5000U, 40000U}) {
        std::vector<float> x(n, 0.0F);
        x[n / 2] = x[n - 1] = extreme;
        Piece p;
        p.g = p.w = x.data();
        p.elements = static_cast<std::int64_t>(n);
        Sums sums;
        measure(Dtype::kFloat32, {&p, 1}, true, {&sums, 1});
        const double expected = 2 * static_cast<double>(extreme) * static_cast<double>(extreme);
        QVERIFY(close(sums.g, expected, 1e-6) && close(sums.w, expected, 1e-6));
        const HalfPiece half = {x.data(), x.data(), nullptr, nullptr, p.elements};
        HalfSums products;
        half_products(Dtype::kFloat32, {&half, 1}, 0.5, {&products, 1});
        QVERIFY(close(products.d12, expected, 1e-6) && close(products.d11, expected, 1e-6));
      }
    }
  }

  /// The same for the norms of a trust ratio: of the weights, and of the directions.
  void trust_beyond_float() {
    for (const float extreme : {1e25F, 1e-30F}) {
      for (const std::size_t n : {5U, 1024U, 5000U}) {
        std::vector<float> w(n, 0.0F), g(n, 0.0F), m(n, 0.0F), v(n, 0.0F);
        w[n / 2] = w[n - 1] = extreme;
        Piece p;
        p.w = w.data();
        p.g = g.data();
        p.m = m.data();
        p.v = v.data();
        p.elements = static_cast<std::int64_t>(n);
        p.decay = 0.5;
        p.adapts = true;
        AdaptiveStep step = adaptive_plan({});
        step.trust.clamp = false;
        Sums sums;
        adaptive_step(Dtype::kFloat32, step, {&p, 1}, {&sums, 1});
        const double expected = 2 * static_cast<double>(extreme) * static_cast<double>(extreme);
        QVERIFY(close(sums.w, expected, 1e-6) && close(sums.u, 0.25 * expected, 1e-6));
        QVERIFY(close(p.trust, 2, 1e-6));
      }
    }
  }

  /// Whatever is not finite shows in the sum, wherever it stands.
  void sums_show_what_is_not_finite() {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
      for (const std::size_t at : {0U, 1023U, 1024U, 16384U, 20000U}) {
        std::vector<float> x(20001, 0.5F);
        x[at] = bad;
        Piece p;
        p.g = x.data();
        p.elements = 20001;
        Sums sums;
        measure(Dtype::kFloat32, {&p, 1}, false, {&sums, 1});
        QVERIFY(!std::isfinite(sums.g));
      }
    }
  }

  void nothing_to_do() {
    measure(Dtype::kFloat32, {}, true, {});
    momentum_step(Dtype::kFloat32, {}, {}, {});
    adaptive_step(Dtype::kFloat64, {}, {}, {});
    half_products(Dtype::kFloat32, {}, 0.5, {});
  }

  void sixteen_million() {
    const std::vector<float> x((16 << 20) + 3, 0.25F);
    const HalfPiece half = {
        x.data(), x.data(), nullptr, nullptr, static_cast<std::int64_t>(x.size())};
    HalfSums sums;
    half_products(Dtype::kFloat32, {&half, 1}, 0.5, {&sums, 1});
    QCOMPARE(sums.d12, 0.0625 * static_cast<double>(x.size()));
    QCOMPARE(sums.d11, sums.d12);
  }

  /// Sums are taken over fixed blocks, so the number of threads shows in no bit.
  void same_bits_for_every_number_of_threads() {
    const int before = at::get_num_threads();
    std::vector<std::string> bits;
    for (const int threads : {1, 2, 3}) {
      at::set_num_threads(threads);
      std::string all;
      for (const Variant& variant : kVariants) {
        Set<float> set;
        for (Piece& p : set.pieces) {
          p.adapts = variant.adapts;
          p.stores = variant.stores;
        }
        measure(Dtype::kFloat32, set.pieces, true, set.sums);
        adaptive_step(Dtype::kFloat32, adaptive_plan(variant), set.pieces, set.sums);
        momentum_step(Dtype::kFloat32, {.norms = true}, set.pieces, set.sums);
        all += all_bits(set);
      }
      bits.push_back(all);
    }
    at::set_num_threads(before);
    QVERIFY(bits[0] == bits[1] && bits[0] == bits[2]);
  }
};

BATCHSCOPE_TEST(TestKernels)
#include "tst_kernels.moc"
