#include "app/bench_optim.h"
#include "app/bench_optim_shapes.h"
#include "app/doctor.h"
#include "engine/contract/error.h"
#include "tests/support/test_program.h"

#include <QtTest>

using namespace batchscope;

/// That `bench optim` and `doctor` do their work; no time is asserted.
class TestBenchOptim : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void shapes_are_those_of_the_detector() {
    std::int64_t elements = 0;
    std::int64_t of_module[kBenchModules] = {};
    const auto shapes = frcnn_shapes();
    for (const BenchShape& s : shapes) {
      std::int64_t n = 1;
      for (const std::int64_t side : s.shape) {
        n *= side;
      }
      elements += n;
      of_module[s.module] += n;
    }
    // torchvision's own count: 189 tensors, by module.
    QCOMPARE(shapes.size(), std::size_t{189});
    QCOMPARE(elements, std::int64_t{41808406});
    QCOMPARE(of_module[0], std::int64_t{23508032});
    QCOMPARE(of_module[1], std::int64_t{3344384});
    QCOMPARE(of_module[2], std::int64_t{593935});
    QCOMPARE(of_module[3], std::int64_t{14362055});
  }

  void every_subject_is_timed() {
    const auto timings = measure_optim({.threads = 1, .rounds = 1, .shrink = 16});
    const std::vector<std::string> names = {
        "sgd", "adamw", "lars", "lamb", "pmd_lamb", "agvm_stats", "agvm_stats_mean"};
    QCOMPARE(timings.size(), names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      const OptimTiming& t = timings[i];
      QCOMPARE(t.name, names[i]);
      QVERIFY(t.ms > 0 && t.limit_ms > 0 && t.limit_ratio > 0);
      const bool statistics = i >= 5;
      QCOMPARE(t.vs_torch_fused.has_value(), !statistics);
      QCOMPARE(t.with_guard_ms.has_value(), !statistics);
      QCOMPARE(t.vs_naive.has_value(), names[i] != "lars");
    }
    QCOMPARE(measure_optim({.threads = 1, .rounds = 1, .only = {"lamb"}, .shrink = 16}).size(),
             std::size_t{1});
    QVERIFY_THROWS_EXCEPTION(contract::SpecError, measure_optim({.threads = 0}));
  }

  void this_machine_is_well() {
    const auto findings = examine(torch::kCPU, 30000);
    QVERIFY(findings.size() > 20);
    for (const Finding& f : findings) {
      QVERIFY2(
          f.passed,
          qPrintable(QString::asprintf("%s %s: %g", f.check.c_str(), f.dtype.c_str(), f.error)));
    }
  }
};

BATCHSCOPE_TEST(TestBenchOptim)
#include "tst_bench_optim.moc"
