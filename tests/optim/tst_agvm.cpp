#include "optim/agvm.h"
#include "tests/optim/rig.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <limits>

using namespace batchscope::optim;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Half-batch mean gradients of algorithms.md 2.14 at step t: {A, B} of half 1 or 2.
std::vector<torch::Tensor> half(int which, int t, torch::ScalarType dtype) {
  static const double kG[2][3][4] = {
      {{0.12, -0.18, 0.30, 0.10}, {0.05, 0.10, -0.20, 0.02}, {-0.30, 0.02, 0, 0}},
      {{0.08, -0.22, 0.20, 0.16}, {-0.01, 0.12, -0.19, 0.03}, {-0.28, 0.06, 0.05, -0.02}}};
  const double* g = kG[which - 1][t - 1];
  return {torch::tensor({g[0], g[1]}, dtype), torch::tensor({g[2], g[3]}, dtype)};
}

std::vector<HalfDots> dots(int t) {
  return half_dots(half(1, t, torch::kDouble), half(2, t, torch::kDouble), {0, 1}, 2);
}

rig::Rig modules_ab(torch::ScalarType dtype) {
  rig::Rig r;
  r.add("A", torch::tensor({1.0, -2.0}, dtype), 0);
  r.add("B", torch::tensor({0.5, 0.25}, dtype), 1);
  return r;
}

AgvmOptions every_step(double alpha = 0.97) {
  AgvmOptions o;
  o.enabled = true;
  o.interval = 1;
  o.alpha = alpha;
  return o;
}

bool same(double x, double y) {
  return x == y || (std::isnan(x) && std::isnan(y));
}

}  // namespace

class TestAgvm : public QObject {
  Q_OBJECT

 private:
  /// One update of rig and agvm as the trainer makes it.
  static void update(rig::Rig& r, Agvm& agvm, int t, double lr, double scale = 1) {
    const auto dtype = r.parameters[0].tensor.scalar_type();
    const auto g1 = half(1, t, dtype), g2 = half(2, t, dtype);
    if (agvm_measures(agvm.options(), t)) {
      std::vector<torch::Tensor> p1, p2;
      for (std::size_t i = 0; i < 2; ++i) {
        p1.push_back(r.optimizer->precondition(static_cast<std::int64_t>(i), g1[i], scale));
        p2.push_back(r.optimizer->precondition(static_cast<std::int64_t>(i), g2[i], scale));
      }
      agvm.measure(half_dots(g1, g2, {0, 1}, 2), half_dots(p1, p2, {0, 1}, 2), 64, 64, t);
    }
    std::vector<torch::Tensor> mean = {(g1[0] + g2[0]) / 2, (g1[1] + g2[1]) / 2};
    r.optimizer->step(mean, lr, agvm.mu());
    agvm.tick(t);
  }

 private Q_SLOTS:
  void around_sgd_data() {
    QTest::addColumn<double>("alpha");
    QTest::addColumn<int>("type");
    QTest::addColumn<QList<double>>("golden");  // d_A d_B s_B mu_B A0 A1 B0 B1 of the three steps
    const QList<double> slow = {0.02847966,  0.06165688,  0.70710678, 0.99121320,  0.98900000,
                                -1.97800000, 0.47472406,  0.23686643, 0.14580144,  0.00162026,
                                3.16227766,  1.05634514,  0.97611100, -1.96722200, 0.47057820,
                                0.22137843,  0.01042560,  1.00000000, 0.70710678,  1.04586799,
                                0.99253479,  -1.95955458, 0.46377710, 0.20839183};
    const QList<double> fast = {0.02847966,  0.06165688,  0.70710678, 0.85355339,  0.98900000,
                                -1.97800000, 0.47823439,  0.23869042, 0.14580144,  0.00162026,
                                3.16227766,  2.00791553,  0.97611100, -1.96722200, 0.47034683,
                                0.20924697,  0.01042560,  1.00000000, 0.70710678,  1.35751115,
                                0.99253479,  -1.95955458, 0.46151519, 0.19240491};
    for (const auto type : {torch::kDouble, torch::kFloat}) {
      const char* name = type == torch::kDouble ? "float64" : "float32";
      QTest::addRow("0.97 %s", name) << 0.97 << static_cast<int>(type) << slow;
      QTest::addRow("0.5 %s", name) << 0.5 << static_cast<int>(type) << fast;
    }
  }
  void around_sgd() {
    QFETCH(double, alpha);
    QFETCH(int, type);
    QFETCH(QList<double>, golden);
    const auto dtype = static_cast<torch::ScalarType>(type);
    rig::Rig r = modules_ab(dtype);
    Options o;
    o.weight_decay = 0.01;
    r.make(o);
    Agvm agvm(every_step(alpha), 2);
    for (int t = 1; t <= 3; ++t) {
      update(r, agvm, t, 0.1);
      const double found[] = {agvm.d()[0],
                              agvm.d()[1],
                              agvm.raw_factors()[1],
                              agvm.mu()[1],
                              r.weight(0, 0),
                              r.weight(0, 1),
                              r.weight(1, 0),
                              r.weight(1, 1)};
      for (int i = 0; i < 8; ++i) {
        const double want = golden[(t - 1) * 8 + i];
        QVERIFY2(rig::near(found[i], want, dtype),
                 qPrintable(QString::asprintf(
                     "t %d column %d: %.10g, golden %.10g", t, i, found[i], want)));
      }
      QCOMPARE(agvm.mu()[0], 1.0);
      QCOMPARE(agvm.last_measured(), std::int64_t{t});
    }
  }

  void around_adamw_data() {
    QTest::addColumn<double>("scale");
    QTest::addColumn<QList<double>>("d");
    QTest::newRow("ours") << 1.0 << QList<double>{0.44004328, 0.00684184, 0.01482661, 1.0};
    QTest::newRow("compat_official, 16 ranks")
        << 1.0 / 16 << QList<double>{0.41885122, 0.00549376, 0.00221312, 1.0};
  }
  void around_adamw() {
    QFETCH(double, scale);
    QFETCH(QList<double>, d);
    const double golden[3][5] = {{1.0, 0.98990000, -1.98980000, 0.48995000, 0.23997500},
                                 {1.06486833, 0.98177060, -1.98731806, 0.48914782, 0.23144556},
                                 {1.05413548, 0.98564195, -1.98648474, 0.48799436, 0.22544014}};
    rig::Rig r = modules_ab(torch::kDouble);
    Options o;
    o.method = Method::kAdamW;
    o.weight_decay = 0.01;
    r.make(o);
    AgvmOptions options = every_step();
    options.start = 2;
    Agvm agvm(options, 2);
    for (int t = 1; t <= 3; ++t) {
      update(r, agvm, t, 0.01, scale);
      const double found[] = {
          agvm.mu()[1], r.weight(0, 0), r.weight(0, 1), r.weight(1, 0), r.weight(1, 1)};
      for (int i = 0; i < 5; ++i) {
        QVERIFY2(rig::near(found[i], golden[t - 1][i], torch::kDouble),
                 qPrintable(QString::asprintf("t %d column %d: %.10g", t, i, found[i])));
      }
      if (t == 1) {
        QVERIFY(std::isnan(agvm.d()[0]));
        continue;
      }
      QVERIFY(rig::near(agvm.d()[0], d[2 * t - 4], torch::kDouble));
      QVERIFY(rig::near(agvm.d()[1], d[2 * t - 3], torch::kDouble));
    }
  }

  void noise_scale_data() {
    QTest::addColumn<double>("n1");
    QTest::addColumn<double>("n2");
    QTest::addColumn<QList<double>>("golden");  // A, B, model at the three steps
    QTest::newRow("64 + 64") << 64.0 << 64.0
                             << QList<double>{2.08130081,
                                              5.72631579,
                                              4.29392971,
                                              3.94693439,
                                              3.72037383,
                                              3.79800958,
                                              1.93604230,
                                              4.68402908,
                                              3.07816074};
    QTest::newRow("48 + 80") << 48.0 << 80.0
                             << QList<double>{1.95121951,
                                              5.36842105,
                                              4.02555911,
                                              3.70025099,
                                              3.48785047,
                                              3.56063398,
                                              1.81503966,
                                              4.39127726,
                                              2.88577569};
  }
  void noise_scale() {
    QFETCH(double, n1);
    QFETCH(double, n2);
    QFETCH(QList<double>, golden);
    AgvmOptions observe;
    observe.interval = 1;
    Agvm agvm(observe, 2);
    QVERIFY(std::isnan(agvm.model_noise_scale()));
    for (int t = 1; t <= 3; ++t) {
      agvm.measure(dots(t), dots(t), n1, n2, t);
      const double found[] = {
          agvm.noise_scale()[0], agvm.noise_scale()[1], agvm.model_noise_scale()};
      for (int i = 0; i < 3; ++i) {
        QVERIFY2(rig::near(found[i], golden[3 * (t - 1) + i], torch::kDouble),
                 qPrintable(QString::asprintf("t %d column %d: %.10g", t, i, found[i])));
      }
      QCOMPARE(agvm.preconditioned_noise_scale(), agvm.noise_scale());
    }
    // Observing leaves the rates alone.
    QCOMPARE(agvm.mu(), std::vector<double>({1.0, 1.0}));
  }
  void noise_scale_unknown() {
    Agvm agvm(every_step(), 2);
    const std::vector<HalfDots> opposite = {{-1, 1, 1}, {3, 4, 4}};
    agvm.measure(opposite, opposite, 8, 8, 1);
    QVERIFY(std::isnan(agvm.noise_scale()[0]));
    // tr = (4 + 4 - 6)/(1/8 + 1/8) = 8 over |G|^2 = 3.
    QVERIFY(std::abs(agvm.noise_scale()[1] - 8.0 / 3) < 1e-12);
    // Both: (8 + 16)/(3 - 1).
    QVERIFY(std::abs(agvm.model_noise_scale() - 12) < 1e-12);
  }

  void fractions() {
    QCOMPARE(noise_fraction({1, 1, 1}), 0.0);
    QCOMPARE(noise_fraction({-2, 4, 1}), 2.0);
    QCOMPARE(noise_fraction({0, 0, 1}), 1.0);
    QVERIFY(std::isnan(noise_fraction({kNan, 1, 1})));
    QVERIFY(std::isnan(noise_fraction({1, std::numeric_limits<double>::infinity(), 1})));
    const auto s = agvm_factors(std::vector<double>{0.0, 0.5, 0.0}, 0, 0.5, 10);
    QVERIFY(rig::near(s[1], 0.70710678, torch::kDouble));
    QCOMPARE(s[2], 1.0);
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument,
                             agvm_factors(std::vector<double>{}, 0, 0.5, 10));
  }

  void when_it_measures() {
    AgvmOptions o;
    o.start = 37;
    o.interval = 2;
    o.stop = 41;
    const QList<int> measured = {37, 39, 41};
    for (int s = 1; s < 60; ++s) {
      QCOMPARE(agvm_measures(o, s), measured.contains(s));
    }
    o.observe = false;
    QVERIFY(!agvm_measures(o, 37));
    o.enabled = true;
    QVERIFY(agvm_measures(o, 37));
  }

  void first_measurement_is_bounded() {
    Agvm agvm(every_step(), 2);
    const std::vector<HalfDots> far = {{0, 1, 1}, {1, 1, 1}};
    agvm.measure(far, far, 8, 8, 1);
    QVERIFY(std::abs(agvm.mu()[1] - 1 - 0.03 * (std::sqrt(10.0) - 1)) < 1e-12);
  }

  void skips_what_is_not_finite() {
    Agvm agvm(every_step(), 2);
    agvm.measure(dots(1), dots(1), 64, 64, 1);
    const auto before = agvm.save();
    std::vector<HalfDots> bad = dots(2);
    bad[1].d22 = kNan;
    agvm.measure(bad, dots(2), 64, 64, 2);
    agvm.measure(dots(2), bad, 64, 64, 3);
    QCOMPARE(agvm.skipped(), std::int64_t{2});
    QCOMPARE(agvm.last_measured(), std::int64_t{1});
    auto after = agvm.save();
    QVERIFY(!rig::same_bits(before, after));
    after.back().second[1] = 0.0;  // all but the counter of skips
    QVERIFY(rig::same_bits(before, after));
  }

  void holds_dead_modules() {
    Agvm agvm(every_step(0.5), 3);
    const std::vector<HalfDots> first = {{0.5, 1, 1}, {0.9, 1, 1}, {0.9, 1, 1}};
    agvm.measure(first, first, 8, 8, 1);
    const std::vector<double> mu = agvm.mu();
    QVERIFY(mu[1] > 1);
    std::vector<HalfDots> silent = {{0.5, 1, 1}, {0, 0, 0}, {0, 0, 1}};
    agvm.measure(silent, silent, 8, 8, 2);
    QCOMPARE(agvm.mu()[1], mu[1]);
    QVERIFY(agvm.mu()[2] < mu[2]);  // one half zero: d = 1, as any other
    const std::vector<double> then = agvm.mu();
    silent[0] = {0, 0, 0};  // without an anchor nothing can be compared
    agvm.measure(silent, silent, 8, 8, 3);
    QCOMPARE(agvm.mu(), then);
  }

  void anchor_can_be_chosen() {
    AgvmOptions o = every_step(0.5);
    o.anchor = 1;
    Agvm agvm(o, 2);
    agvm.measure(dots(1), dots(1), 64, 64, 1);
    QCOMPARE(agvm.mu()[1], 1.0);
    QVERIFY(std::abs(agvm.mu()[0] - 0.5 - 0.5 * std::sqrt(0.06165788 / 0.02848066)) < 1e-6);
    o.anchor = 0;
    agvm.set_options(o);
    QCOMPARE(agvm.mu(), std::vector<double>({1.0, 1.0}));
  }

  void switching_off_ramps() {
    Agvm agvm(every_step(0.5), 2);
    agvm.measure(dots(1), dots(1), 64, 64, 1);
    agvm.tick(1);
    const double mu = agvm.mu()[1];
    AgvmOptions off = every_step(0.5);
    off.enabled = false;
    agvm.set_options(off);
    QCOMPARE(agvm.mu()[1], mu);
    for (int n = 1; n <= 100; ++n) {
      agvm.measure(dots(2), dots(2), 64, 64, n + 1);  // observing goes on
      agvm.tick(n + 1);
      QVERIFY(std::abs(agvm.mu()[1] - (1 + (mu - 1) * (100 - n) / 100)) < 1e-12);
    }
    QCOMPARE(agvm.mu()[1], 1.0);
    QVERIFY(rig::near(agvm.d()[1], 0.00162026, torch::kDouble));
    agvm.set_options(every_step(0.5));
    QCOMPARE(agvm.mu()[1], 1.0);
    agvm.measure(dots(1), dots(1), 64, 64, 102);
    QVERIFY(agvm.mu()[1] < 1);
    off.off_ramp = 0;
    agvm.set_options(off);
    QCOMPARE(agvm.mu()[1], 1.0);
  }

  void stop_ends_modulation() {
    AgvmOptions o = every_step(0.5);
    o.stop = 2;
    o.off_ramp = 10;
    Agvm agvm(o, 2);
    for (int s = 1; s <= 2; ++s) {
      agvm.measure(dots(s), dots(s), 64, 64, s);
      agvm.tick(s);
    }
    const double mu = agvm.mu()[1];
    QVERIFY(mu > 1.5);
    for (int n = 1; n <= 10; ++n) {
      QVERIFY(!agvm_measures(o, 2 + n));
      agvm.tick(2 + n);
      QVERIFY(std::abs(agvm.mu()[1] - (1 + (mu - 1) * (10 - n) / 10)) < 1e-12);
    }
    agvm.tick(13);
    QCOMPARE(agvm.mu()[1], 1.0);
  }

  void saves_bit_for_bit() {
    Agvm one(every_step(), 2), two(every_step(), 2);
    for (int t = 1; t <= 2; ++t) {
      one.measure(dots(t), dots(t), 48, 80, t);
      one.tick(t);
    }
    two.load(one.save());
    QVERIFY(rig::same_bits(one.save(), two.save()));
    for (Agvm* agvm : {&one, &two}) {
      agvm->measure(dots(3), dots(3), 48, 80, 3);
      AgvmOptions off = every_step();
      off.enabled = false;
      agvm->set_options(off);
      agvm->tick(3);
    }
    QVERIFY(rig::same_bits(one.save(), two.save()));
    QCOMPARE(one.mu(), two.mu());
    QVERIFY(same(one.model_noise_scale(), two.model_noise_scale()));
    Agvm three(every_step(), 3);
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, three.load(one.save()));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, two.load({}));
    QVERIFY(rig::same_bits(one.save(), two.save()));
  }

  void refuses_bad_options() {
    AgvmOptions o;
    o.anchor = 2;
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, Agvm(o, 2));
    o = {};
    o.interval = 0;
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, Agvm(o, 2));
    o = {};
    o.alpha = 1;
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, Agvm(o, 2));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, Agvm(AgvmOptions{}, 0));
    Agvm agvm(AgvmOptions{}, 2);
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, agvm.measure(dots(1), {}, 8, 8, 1));
  }

  void dots_of_large_and_absent_tensors() {
    // Longer than one block of the sums, with a tail; integers, so every sum is exact.
    const std::int64_t n = 100003;
    const torch::Tensor a = torch::arange(n, torch::kDouble).remainder(7).to(torch::kFloat);
    const torch::Tensor b = torch::arange(n, torch::kDouble).remainder(5).to(torch::kFloat);
    const auto sums =
        half_dots({a, a, torch::Tensor()}, {b, torch::Tensor(), torch::Tensor()}, {1, 0, 0}, 2);
    const torch::Tensor x = a.to(torch::kDouble), y = b.to(torch::kDouble);
    QCOMPARE(sums[1].d12, (x * y).sum().item<double>());
    QCOMPARE(sums[1].d11, (x * x).sum().item<double>());
    QCOMPARE(sums[1].d22, (y * y).sum().item<double>());
    QCOMPARE(sums[0].d11, sums[1].d11);
    QCOMPARE(sums[0].d12, 0.0);
    QCOMPARE(sums[0].d22, 0.0);
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, half_dots({a}, {b}, {2}, 2));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, half_dots({a}, {b, b}, {0}, 1));
  }
};

BATCHSCOPE_TEST(TestAgvm)
#include "tst_agvm.moc"
