#include "optim/schedule.h"
#include "tests/support/test_program.h"

#include <torch/types.h>

#include <QtTest>

#include <cmath>
#include <numbers>

using namespace batchscope::optim;

namespace {

bool near(double x, double golden) {
  return std::abs(x - golden) <= 5e-9 + 1e-7 * std::abs(golden);
}

}  // namespace

class TestSchedule : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void rules_data() {
    QTest::addColumn<int>("batch");
    QTest::addColumn<double>("linear");
    QTest::addColumn<double>("sqrt");
    QTest::addColumn<double>("mixed");
    QTest::newRow("16") << 16 << 0.02000000 << 0.02000000 << 0.02000000;
    QTest::newRow("32") << 32 << 0.04000000 << 0.02828427 << 0.04000000;
    QTest::newRow("64") << 64 << 0.08000000 << 0.04000000 << 0.08000000;
    QTest::newRow("128") << 128 << 0.16000000 << 0.05656854 << 0.16000000;
    QTest::newRow("256") << 256 << 0.32000000 << 0.08000000 << 0.22627417;
    QTest::newRow("512") << 512 << 0.64000000 << 0.11313708 << 0.32000000;
    QTest::newRow("1024") << 1024 << 1.28000000 << 0.16000000 << 0.45254834;
    QTest::newRow("1056") << 1056 << 1.32000000 << 0.16248077 << 0.45956501;
    QTest::newRow("1536") << 1536 << 1.92000000 << 0.19595918 << 0.55425626;
  }
  void rules() {
    QFETCH(int, batch);
    QFETCH(double, linear);
    QFETCH(double, sqrt);
    QFETCH(double, mixed);
    QVERIFY(near(scaled_lr(LrRule::kLinear, 0.02, batch, 16), linear));
    QVERIFY(near(scaled_lr(LrRule::kSqrt, 0.02, batch, 16), sqrt));
    QVERIFY(near(scaled_lr(LrRule::kMixed, 0.02, batch, 16), mixed));
    QCOMPARE(scaled_lr(LrRule::kNone, 0.02, batch, 16), 0.02);
  }
  void rule_refuses_no_batch() {
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, scaled_lr(LrRule::kLinear, 0.02, 0, 16));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, scaled_lr(LrRule::kLinear, 0.02, 16, 0));
  }

  void warmups() {
    const double speed[] = {0.02, 0.095, 0.17, 0.245, 0.32, 0.32};
    const double linear[] = {0.00032, 0.08024, 0.16016, 0.24008, 0.32, 0.32};
    const double exp[] = {0.00032, 0.00179949, 0.01011929, 0.05690494, 0.32, 0.32};
    const double ramp[] = {0.08, 0.16, 0.24, 0.32, 0.32, 0.32};
    Schedule s;
    s.decay = Decay::kNone;
    s.warmup_batch = 64;
    s.warmup_images = 4 * 64;
    s.warmup_from = 0.02;
    for (int it = 0; it < 6; ++it) {
      s.warmup = Warmup::kConstantSpeed;
      QVERIFY(near(scheduled_lr(s, 0.32, it * 64), speed[it]));
      s.warmup = Warmup::kLinear;
      QVERIFY(near(scheduled_lr(s, 0.32, it * 64), linear[it]));
      s.warmup = Warmup::kExp;
      QVERIFY(near(scheduled_lr(s, 0.32, it * 64), exp[it]));
      s.warmup = Warmup::kRamp;
      QVERIFY(near(scheduled_lr(s, 0.32, it * 64), ramp[it]));
      s.warmup = Warmup::kNone;
      QCOMPARE(scheduled_lr(s, 0.32, it * 64), 0.32);
    }
  }

  void warmup_counts_pictures() {
    // Half the batch from picture 128 on: the same picture count gives the same rate.
    Schedule s;
    s.warmup = Warmup::kLinear;
    s.decay = Decay::kNone;
    s.warmup_batch = 64;
    s.warmup_images = 256;
    QVERIFY(near(scheduled_lr(s, 0.32, 160), 0.32 * (1 - (1 - 2.5 / 4) * 0.999)));
  }

  void steps() {
    Schedule s;
    s.warmup = Warmup::kNone;
    s.decay = Decay::kStep;
    s.milestones = {800, 1100};
    s.total_images = 1200;
    QCOMPARE(scheduled_lr(s, 1.0, 799), 1.0);
    QVERIFY(near(scheduled_lr(s, 1.0, 800), 0.1));
    QVERIFY(near(scheduled_lr(s, 1.0, 1100), 0.01));
    s.factor = 0.5;
    QVERIFY(near(scheduled_lr(s, 1.0, 1199), 0.25));
  }

  void lab_regime() {
    // 300 updates of 128 pictures, 30 of them ramp, then cosine: the lab's own formula.
    Schedule s;
    s.warmup_batch = 128;
    s.warmup_images = 30 * 128;
    s.total_images = 300 * 128;
    for (int it = 0; it < 300; ++it) {
      const double factor =
          it < 30 ? (it + 1) / 30.0 : 0.5 * (1 + std::cos(std::numbers::pi * (it - 30) / 270.0));
      QVERIFY(std::abs(scheduled_lr(s, 0.05, it * 128) - 0.05 * factor) < 1e-15);
    }
    QVERIFY(std::abs(scheduled_lr(s, 0.05, 300 * 128)) < 1e-15);
  }

  void poly() {
    Schedule s;
    s.warmup = Warmup::kExp;
    s.warmup_batch = 10;
    s.warmup_images = 100;
    s.total_images = 1100;
    s.decay = Decay::kPoly;
    s.power = 1.6;
    QVERIFY(near(scheduled_lr(s, 43, 100), 43));
    QVERIFY(near(scheduled_lr(s, 43, 600), 43 * std::pow(0.5, 1.6)));
    QCOMPARE(scheduled_lr(s, 43, 1100), 0.0);
    QCOMPARE(scheduled_lr(s, 43, 2000), 0.0);
  }

  void coefficients() {
    QCOMPARE(pmd_coefficient(0, 3, true, false), 1.0);
    QVERIFY(near(pmd_coefficient(1, 3, true, false), 0.75));
    QVERIFY(near(pmd_coefficient(2, 3, true, false), 0.25));
    QVERIFY(near(pmd_coefficient(1, 3, false, false), 0.66666667));
    QVERIFY(std::abs(pmd_coefficient(199, 200, true, false) - 6.17e-5) < 1e-7);
    QVERIFY(near(pmd_coefficient(199, 200, false, false), 0.005));
    QVERIFY(std::abs(pmd_coefficient(199, 200, true, true)) < 1e-15);
    QCOMPARE(pmd_coefficient(199, 200, false, true), 0.0);
    QCOMPARE(pmd_coefficient(0, 1, false, true), 1.0);
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, pmd_coefficient(3, 3, true, false));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, pmd_coefficient(-1, 3, true, false));
  }

  void names() {
    QCOMPARE(warmup_from("constant_speed"), Warmup::kConstantSpeed);
    QCOMPARE(warmup_from("ramp"), Warmup::kRamp);
    QCOMPARE(decay_from("poly"), Decay::kPoly);
    QCOMPARE(lr_rule_from("mixed"), LrRule::kMixed);
    try {
      decay_from("cosin");
      QFAIL("an unknown name was taken");
    } catch (const std::invalid_argument& e) {
      QVERIFY(std::string(e.what()).find("none, step, cosine, poly") != std::string::npos);
    }
  }
};

BATCHSCOPE_TEST(TestSchedule)
#include "tst_schedule.moc"
