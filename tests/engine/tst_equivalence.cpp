#include "models/factory.h"
#include "tests/support/test_program.h"
#include "tests/support/toy_training.h"

#include <QtTest>

#include <mutex>

using namespace batchscope;
using namespace batchscope::testing;

namespace {

struct Result {
  std::vector<torch::Tensor> weights;
  std::vector<double> mu, d;
  std::vector<double> losses;
  std::int64_t images = 0;
};

contract::RunSpec spec_of(const std::string& optimizer,
                          std::int64_t ranks,
                          std::int64_t accumulation,
                          std::int64_t steps) {
  contract::RunSpec spec = toy_spec(optimizer, steps);
  spec.batch.ranks = ranks;
  spec.batch.accumulation = accumulation;
  spec.optim.agvm.enabled = true;
  spec.optim.agvm.start = 1;
  spec.optim.agvm.interval = 1;
  return spec;
}

/// The lab detector of a spec, if it names one: the same weights on every call.
std::shared_ptr<models::Detector> lab_of(const contract::RunSpec& spec) {
  static std::mutex building;  // the default generator is shared by the ranks of a test
  const std::lock_guard lock(building);
  return spec.run.name == "lab" ? models::make_detector({.name = "lab_faster_rcnn", .seed = 3})
                                : nullptr;
}

Result result_of(const contract::RunSpec& spec, torch::ScalarType dtype) {
  Result result;
  std::mutex mutex;
  const auto work = [&](const std::shared_ptr<train::Group>& group) {
    ToyRun run = toy_run(spec, group, dtype, {}, std::nullopt, nullptr, lab_of(spec));
    run.trainer->run();
    if (group == nullptr || group->rank() == 0) {
      const std::lock_guard lock(mutex);
      result.weights = weights(*run.detector);
      result.mu = run.trainer->agvm().mu();
      result.d = run.trainer->agvm().d();
      result.images = run.trainer->state().images;
      for (const contract::StepRecord& row : run.sink->rows) {
        result.losses.push_back(run.sink->value(row, "loss"));
      }
    }
  };
  if (spec.batch.ranks == 1) {
    work(nullptr);
  } else {
    with_ranks(spec.batch.ranks, work);
  }
  return result;
}

double worst(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = a.size() == b.size() && !a.empty() ? 0 : 1e9;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const double here = std::abs(a[i] - b[i]) / std::max(std::abs(a[i]), 1e-30);
    difference = std::isfinite(here) ? std::max(difference, here) : 1e9;
  }
  return difference;
}

}  // namespace

/// N micro-batches give one training, however they are dealt to ranks and passes (DESIGN.md 7).
class TestEquivalence : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void everyFactorisation_data() {
    QTest::addColumn<int>("micros");
    QTest::addColumn<int>("ranks");
    QTest::addColumn<QString>("optimizer");
    for (const char* optimizer : {"sgd", "adamw", "lars", "lamb", "pmd_lamb"}) {
      for (const int micros : {2, 3, 4, 6}) {
        for (int ranks = 2; ranks <= micros; ++ranks) {
          const bool all = QLatin1String(optimizer) == QLatin1String("sgd") ||
                           QLatin1String(optimizer) == QLatin1String("pmd_lamb") || micros == 4;
          if (micros % ranks == 0 && all) {
            QTest::addRow("%s N=%d ranks=%d", optimizer, micros, ranks)
                << micros << ranks << QString::fromLatin1(optimizer);
          }
        }
      }
    }
  }
  void everyFactorisation() {
    QFETCH(int, micros);
    QFETCH(int, ranks);
    QFETCH(QString, optimizer);
    const std::string name = optimizer.toStdString();
    const auto compare = [&](std::int64_t steps, torch::ScalarType dtype, double bound) {
      const Result one = result_of(spec_of(name, 1, micros, steps), dtype);
      const Result many = result_of(spec_of(name, ranks, micros / ranks, steps), dtype);
      QCOMPARE(one.images, steps * 4 * micros);
      QCOMPARE(many.images, one.images);
      QVERIFY2(relative_difference(one.weights, many.weights) <= bound,
               qPrintable(QString::number(relative_difference(one.weights, many.weights))));
      QVERIFY2(worst(one.mu, many.mu) <= bound,
               qPrintable(QString::number(worst(one.mu, many.mu))));
      QVERIFY(worst(one.losses, many.losses) <= std::max(bound, 1e-12));
      QVERIFY(one.mu.back() != 1.0);
    };
    compare(3, torch::kFloat32, 1e-5);
    compare(20, torch::kFloat64, 1e-9);
    if (name == "sgd" && micros == 4) {
      compare(100, torch::kFloat32, 1e-5);
    }
  }

  void theLabDetectorToo() {
    for (const std::string name : {"sgd", "lamb"}) {
      contract::RunSpec one = spec_of(name, 1, 4, 3);
      one.run.name = "lab";
      const Result a = result_of(one, torch::kFloat32);
      for (const std::int64_t ranks : {2, 4}) {
        contract::RunSpec many = spec_of(name, ranks, 4 / ranks, 3);
        many.run.name = "lab";
        const Result b = result_of(many, torch::kFloat32);
        QVERIFY2(relative_difference(a.weights, b.weights) <= 1e-5,
                 qPrintable(QString::number(relative_difference(a.weights, b.weights))));
        QVERIFY2(worst(a.mu, b.mu) <= 1e-5, qPrintable(QString::number(worst(a.mu, b.mu))));
        QVERIFY(worst(a.losses, b.losses) <= 1e-5);
      }
    }
  }

  void shortLastStepIsWeightedByItsPictures() {
    // 4 x 3 x 2 pictures a step, and 30 in all: the second step has six.
    contract::RunSpec one = spec_of("sgd", 1, 6, 2), two = spec_of("sgd", 2, 3, 2);
    one.schedule.steps.reset();
    two.schedule.steps.reset();
    one.schedule.images = two.schedule.images = 30;
    const Result a = result_of(one, torch::kFloat64), b = result_of(two, torch::kFloat64);
    QCOMPARE(a.images, 30);
    QCOMPARE(b.images, 30);
    QCOMPARE(a.losses.size(), std::size_t{2});
    QVERIFY(worst(a.losses, b.losses) < 1e-12);
    QVERIFY(relative_difference(a.weights, b.weights) < 1e-12);
  }

  void sameSeedSameBits() {
    const contract::RunSpec spec = spec_of("lamb", 1, 2, 10);
    QVERIFY(equal_bits(result_of(spec, torch::kFloat32).weights,
                       result_of(spec, torch::kFloat32).weights));
    contract::RunSpec other = spec;
    other.run.seed = 6;
    QVERIFY(!equal_bits(result_of(spec, torch::kFloat32).weights,
                        result_of(other, torch::kFloat32).weights));
    contract::RunSpec threads = spec;
    threads.data.loader_threads = 0;
    QVERIFY(equal_bits(result_of(spec, torch::kFloat32).weights,
                       result_of(threads, torch::kFloat32).weights));
  }
};

BATCHSCOPE_TEST(TestEquivalence)
#include "tst_equivalence.moc"
