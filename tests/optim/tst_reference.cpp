#include "tests/optim/fixture_options.h"
#include "tests/optim/rig.h"
#include "tests/support/test_program.h"

#include <QtTest>

using namespace batchscope::optim;

/// 120 updates of random gradients, some of them zero, against torch.optim, timm and a plain
/// transcription of PMD-LAMB (make_optim_fixtures.py).
class TestReference : public QObject {
  Q_OBJECT

 private:
  static void rows(const nlohmann::json& cases) {
    QTest::addColumn<int>("index");
    QTest::addColumn<int>("type");
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const std::string name = cases[i].at("name");
      QTest::addRow("%s float64", name.c_str())
          << static_cast<int>(i) << static_cast<int>(torch::kDouble);
      QTest::addRow("%s float32", name.c_str())
          << static_cast<int>(i) << static_cast<int>(torch::kFloat);
    }
  }
  /// Compares after 10 and 120 updates: float64 to 1e-11, float32 after 10 to 2e-5 of each
  /// tensor's largest element.
  static void compare(const rig::Rig& r,
                      const nlohmann::json& weights,
                      int step,
                      torch::ScalarType dtype) {
    const std::string key = std::to_string(step);
    const bool wide = dtype == torch::kDouble;
    if (!weights.contains(key) || (!wide && step > 10)) {
      return;
    }
    const double gap = rig::distance(r.weights(), weights.at(key));
    QVERIFY2(gap < (wide ? 1e-11 : 2e-5), qPrintable(QString::asprintf("step %d: %g", step, gap)));
  }

 private Q_SLOTS:
  void libraries_data() { rows(rig::read_fixture("reference_runs.json").at("cases")); }
  void libraries() {
    QFETCH(int, index);
    QFETCH(int, type);
    const auto dtype = static_cast<torch::ScalarType>(type);
    static const nlohmann::json kCases = rig::read_fixture("reference_runs.json").at("cases");
    const nlohmann::json& one = kCases.at(static_cast<std::size_t>(index));
    rig::Stream stream(12345, dtype);
    rig::Rig r = stream.rig();
    r.make(rig::options_from(one.at("options")));
    for (int step = 1; step <= 120; ++step) {
      QVERIFY(r.step(stream.gradients(step), rig::rate(one.at("lr"), step)).applied);
      compare(r, one.at("weights"), step, dtype);
    }
    QCOMPARE(r.optimizer->t(), std::int64_t{120});
  }

  void pmd_data() { rows(rig::read_fixture("switch_runs.json").at("pmd")); }
  void pmd() {
    QFETCH(int, index);
    QFETCH(int, type);
    const auto dtype = static_cast<torch::ScalarType>(type);
    static const nlohmann::json kCases = rig::read_fixture("switch_runs.json").at("pmd");
    const nlohmann::json& one = kCases.at(static_cast<std::size_t>(index));
    rig::Stream stream(777, dtype);
    rig::Rig r = stream.rig();
    Options options = rig::options_from(one.at("options"));
    r.make(options);
    for (int step = 1; step <= 120; ++step) {
      if (step == 71) {  // the period changes while it runs; the phase fraction stays
        options.pmd_period = 9;
        r.optimizer->set_options(options);
      }
      QVERIFY(r.step(stream.gradients(step), rig::rate(one.at("options").at("lr"), step)).applied);
      compare(r, one.at("weights"), step, dtype);
    }
  }
};

BATCHSCOPE_TEST(TestReference)
#include "tst_reference.moc"
