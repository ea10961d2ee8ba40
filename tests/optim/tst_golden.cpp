#include "tests/optim/rig.h"
#include "tests/support/test_program.h"

#include <QtTest>

using namespace batchscope::optim;

namespace {

/// One line of a golden table of algorithms.md: weights and trust ratios after step t (NaN: the
/// table has none).
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
struct Row {
  int t;
  double a0, a1, b0, r_a = kNone, r_b = kNone, c = kNone, m1 = kNone, m2 = kNone;
};

Options plain(Method method) {
  Options o;
  o.method = method;
  o.weight_decay = 0.01;
  o.eps = method == Method::kLamb || method == Method::kPmdLamb ? 1e-6 : 1e-8;
  o.exclude_1d = o.trust_clamp = o.skip_dead = false;
  o.compat_ratio1 = true;
  o.trust_coefficient = 0.02;
  return o;
}

Options pmd(PmdVariant variant, PmdCurve curve) {
  Options o = plain(Method::kPmdLamb);
  o.pmd_period = 3;
  o.pmd_variant = variant;
  o.pmd_curve = curve;
  return o;
}

}  // namespace

#define NEAR(x, golden)                     \
  QVERIFY2(rig::near((x), (golden), dtype), \
           qPrintable(QString::asprintf("t %d: %s = %.10g, golden %.10g", t, #x, (x), (golden))))

class TestGolden : public QObject {
  Q_OBJECT

 private:
  /// Runs fixture F with the rates lr[t-1] and compares the lines of the table.
  void check(const Options& options,
             std::vector<double> lr,
             std::vector<Row> rows,
             bool two_d = false) {
    QFETCH_GLOBAL(int, type);
    const auto dtype = static_cast<torch::ScalarType>(type);
    rig::Rig f = rig::fixture_f(dtype, two_d);
    f.make(options);
    for (int t = 1; t <= 3; ++t) {
      const StepReport report = f.step(rig::gradients_f(f, t), lr[static_cast<std::size_t>(t - 1)]);
      QVERIFY(report.applied);
      for (const Row& row : rows) {
        if (row.t != t) {
          continue;
        }
        NEAR(f.weight(0, 0), row.a0);
        NEAR(f.weight(0, 1), row.a1);
        NEAR(f.weight(1, 0), row.b0);
        if (!std::isnan(row.r_a)) {
          NEAR(report.module_trust[0], row.r_a);
          NEAR(report.module_trust[1], row.r_b);
          NEAR(report.module_lr[0], row.r_a * lr[static_cast<std::size_t>(t - 1)]);
        }
        if (!std::isnan(row.c)) {
          QVERIFY(rig::near(report.pmd_c, row.c, torch::kDouble));
          QVERIFY(rig::near(rig::scalar(f.optimizer->save(), "scalar/M1"), row.m1, torch::kDouble));
          QVERIFY(rig::near(rig::scalar(f.optimizer->save(), "scalar/M2"), row.m2, torch::kDouble));
        }
      }
    }
  }
  void check(const Options& options, double lr, std::vector<Row> rows, bool two_d = false) {
    check(options, std::vector<double>(3, lr), std::move(rows), two_d);
  }

 private Q_SLOTS:
  void initTestCase_data() {
    QTest::addColumn<int>("type");
    QTest::newRow("float64") << static_cast<int>(torch::kDouble);
    QTest::newRow("float32") << static_cast<int>(torch::kFloat);
  }

  void sgd() {
    check(plain(Method::kSgd),
          0.1,
          {{1, 0.98900000, -1.97800000, 0.46950000},
           {2, 0.97311100, -1.96622200, 0.46158050},
           {3, 0.98783779, -1.95565558, 0.45399137}});
  }

  void sgd_buffer() {
    QFETCH_GLOBAL(int, type);
    const auto dtype = static_cast<torch::ScalarType>(type);
    const double golden[3][3] = {{0.11000000, -0.22000000, 0.30500000},
                                 {0.15889000, -0.11778000, 0.07919500},
                                 {-0.14726789, -0.10566422, 0.07589131}};
    rig::Rig f = rig::fixture_f(dtype);
    f.make(plain(Method::kSgd));
    for (int t = 1; t <= 3; ++t) {
      f.step(rig::gradients_f(f, t), 0.1);
      std::vector<double> buffer;
      for (const auto& [name, value] : f.optimizer->save()) {
        if (name == "state/A/buf" || name == "state/B/buf") {
          const auto part = rig::numbers(value);
          buffer.insert(buffer.end(), part.begin(), part.end());
        }
      }
      QCOMPARE(buffer.size(), std::size_t{3});
      for (std::size_t i = 0; i < 3; ++i) {
        NEAR(buffer[i], golden[t - 1][i]);
      }
    }
  }

  /// Mass S of algorithms.md 10.2: with it the mean of a constant gradient is that gradient.
  void sgd_mass() {
    QFETCH_GLOBAL(int, type);
    const auto dtype = static_cast<torch::ScalarType>(type);
    const struct {
      double dampening, buf[4], s[4];
    } rows[] = {{0.0, {2, 3.8, 5.42, 6.878}, {1, 1.9, 2.71, 3.439}},
                {0.9, {2, 2, 2, 2}, {1, 1, 1, 1}},
                {0.5, {2, 2.8, 3.52, 4.168}, {1, 1.4, 1.76, 2.084}}};
    for (const auto& row : rows) {
      rig::Rig one;
      one.add("w", torch::tensor({1.0}, dtype), 0);
      Options o = plain(Method::kSgd);
      o.weight_decay = 0;
      o.dampening = row.dampening;
      one.make(o);
      for (int t = 1; t <= 4; ++t) {
        one.step({torch::tensor({2.0}, dtype)}, 0.01);
        const auto state = one.optimizer->save();
        NEAR(state[0].second.item<double>(), row.buf[t - 1]);
        NEAR(rig::scalar(state, "scalar/S"), row.s[t - 1]);
        const CanonicalState canonical = one.optimizer->canonical()[0];
        NEAR(canonical.mhat.item<double>(), 2.0);
        NEAR(canonical.mass1, std::min(1.0, row.s[t - 1] * 0.1 / (1 - row.dampening)));
      }
    }
  }

  void adamw() {
    check(plain(Method::kAdamW),
          0.1,
          {{1, 0.89900001, -1.89800000, 0.39950000},
           {2, 0.80488306, -1.86946830, 0.38464845},
           {3, 0.83880052, -1.85278900, 0.37309232}});
  }

  void lars() {
    const Options post = plain(Method::kLars);
    check(post,
          1.0,
          {{1, 0.98000000, -1.96000000, 0.49000000, 0.18181817, 0.03278688},
           {2, 0.94240000, -1.95035184, 0.49033128, 0.32775917, 0.04782821},
           {3, 0.94761456, -1.94173522, 0.48572613, 0.13440392, 1.00000000}});
    check(post,
          {1, 2, 0.5},
          {{2, 0.90480001, -1.94070368, 0.49066257, 0.32775917, 0.04782821},
           {3, 0.90722323, -1.93640143, 0.48835833, 0.13296508, 1.00000000}});
    Options pre = post;
    pre.lars_pre = true;
    check(pre,
          {1, 2, 0.5},
          {{2, 0.92280000, -1.97670368, 0.49966257, 0.32775917, 0.04782821},
           {3, 0.89098993, -1.99175275, 0.50586056, 0.13529449, 1.00000000}});
    Options clip = post;
    clip.lars_clip = true;
    check(clip, 0.1, {{3, 0.98783779, -1.95565558, 0.49013911, 1.00000000, 1.00000000}});
  }

  void lamb() {
    Options o = plain(Method::kLamb);
    o.clip_form = ClipForm::kLamb;
    o.clip_norm = 0.3;
    check(o,
          0.1,
          {{1, 0.84266741, -1.84110867, 0.45000000, 1.55776768, 0.49751450},
           {2, 0.64407471, -1.80162911, 0.40500000, 2.04566463, 10.29330523},
           {3, 0.83075868, -1.75972334, 0.36450000, 4.92543929, 11.78511195}});
    o.clip_norm = 0;
    check(o,
          0.1,
          {{1, 0.84266731, -1.84110877, 0.45000000, 1.55776484, 0.49751409},
           {2, 0.64887395, -1.78244165, 0.40500000, 2.06032839, 3.01972965},
           {3, 0.81941618, -1.69939525, 0.36450000, 5.00515898, 3.49848934}});
    Options excluded = o;
    excluded.exclude_1d = true;
    check(excluded,
          0.1,
          {{1, 0.84266731, -1.84110877, 0.40000033, 1.55776484, 1.00000000},
           {2, 0.64887395, -1.78244165, 0.38554834, 2.06032839, 1.00000000},
           {3, 0.81941618, -1.69939525, 0.37437691, 5.00515898, 1.00000000}},
          true);
    Options uncorrected = o;
    uncorrected.bias_correction = false;
    check(uncorrected, 0.1, {{3, 0.82156691, -1.70898852, 0.36450000, 1.01578096, 0.72708869}});
  }

  /// DeepSpeed's form: no correction in u, the correction folded into the rate, ratios in
  /// [0.01, 10].
  void lamb_deepspeed() {
    Options o = plain(Method::kLamb);
    o.eps = 1e-8;
    o.folded_bias = true;
    o.trust_clamp = true;
    check(o, 0.1, {{3, 0.94053438, -1.91833358, 0.46324389, 1.14296436, 0.84769460}});
  }

  /// A tensor without gradient or moments (algorithms.md 5.5).
  void lamb_without_gradient() {
    QFETCH_GLOBAL(int, type);
    const auto dtype = static_cast<torch::ScalarType>(type);
    Options o = plain(Method::kLamb);
    Options clamped = o, dead = o;
    clamped.trust_clamp = true;
    dead.skip_dead = true;
    const struct {
      Options options;
      double w[3];
    } rows[] = {{o, {0.45000000, 0.40500000, 0.36450000}},
                {clamped, {0.49500000, 0.49005000, 0.48514950}},
                {dead, {0.5, 0.5, 0.5}}};
    for (const auto& row : rows) {
      rig::Rig one;
      one.add("w", torch::tensor({0.5}, dtype), 0);
      one.make(row.options);
      for (int t = 1; t <= 3; ++t) {
        one.step({torch::zeros({1}, dtype)}, 0.1);
        NEAR(one.weight(0, 0), row.w[t - 1]);
      }
    }
  }

  void pmd_lamb() {
    const Row first = {1,
                       0.84266731,
                       -1.84110877,
                       0.45000000,
                       1.55776484,
                       0.49751409,
                       1.00000000,
                       0.10000000,
                       0.00100000};
    check(pmd(PmdVariant::kMomentScale, PmdCurve::kCosine),
          0.1,
          {first,
           {2,
            0.64296247,
            -1.80770704,
            0.40500000,
            2.13234334,
            42.76523555,
            0.75,
            0.16750000,
            0.00174925},
           {3,
            0.83367450,
            -1.82870652,
            0.36450000,
            2.45555331,
            57.53163954,
            0.25,
            0.13768750,
            0.00143688}});
    check(pmd(PmdVariant::kBetaScale, PmdCurve::kCosine),
          0.1,
          {first,
           {2,
            0.65431009,
            -1.91540046,
            0.49500000,
            1.60280061,
            0.79716228,
            0.75,
            0.39250000,
            0.25149925},
           {3,
            0.81819983,
            -2.03418160,
            0.54450000,
            1.80871549,
            2.42097775,
            0.25,
            0.86331250,
            0.81306194}});
    check(pmd(PmdVariant::kReadout, PmdCurve::kCosine),
          0.1,
          {first,
           {2,
            0.64296247,
            -1.80770704,
            0.40500000,
            2.13234334,
            42.76523555,
            0.75,
            0.19000000,
            0.00199900},
           {3,
            0.83482565,
            -1.80694811,
            0.36450000,
            2.56403464,
            5.12330327,
            0.25,
            0.27100000,
            0.00299700}});
    check(pmd(PmdVariant::kMomentScale, PmdCurve::kLinear),
          0.1,
          {first,
           {2,
            0.64139738,
            -1.81901547,
            0.49500000,
            2.15126027,
            9.66994670,
            0.66666667,
            0.16000000,
            0.00166600},
           {3,
            0.83292778,
            -1.84177915,
            0.54450000,
            2.62004334,
            21.74914254,
            0.33333333,
            0.14800000,
            0.00155478}});
    // c = 1, 1, 0: one update before the first period, whose two phases are 1 and 0.
    Options zero = pmd(PmdVariant::kMomentScale, PmdCurve::kLinear);
    zero.pmd_start = 1;
    zero.pmd_period = 2;
    zero.pmd_hit_zero = true;
    check(
        zero,
        0.1,
        {{3, 0.78377381, -1.91579600, 0.36450000, 1.35781365, 100.0, 0.0, 0.10000000, 0.00100000}});
  }
};

BATCHSCOPE_TEST(TestGolden)
#include "tst_golden.moc"
