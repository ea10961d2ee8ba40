#include "tests/app/predict_runner.h"
#include "tests/support/test_program.h"

#include <algorithm>
#include <cmath>

using namespace batchscope;

/// What is other than a person may think is said where it happens.
class TestToldProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void a_warm_up_longer_than_the_run_ramps_as_asked() {
    Training training(
        words("schedule.steps=6 batch.micro=1 data.val_pictures=2 optim.name=sgd optim.lr=0.01 "
              "optim.lr_rule=none schedule.warmup.kind=linear schedule.warmup.steps=1000 "
              "schedule.decay.kind=none"));
    QCOMPARE(training.wait(), 0);
    const QString sentence = QStringLiteral(
        "The warm-up (schedule.warmup) takes 1000 updates, the run 6: no update follows the "
        "warm-up at its full learning rate.");
    const QString err = QString::fromUtf8(training.process.readAllStandardError());
    QVERIFY2(err.contains(QStringLiteral("warning: ") + sentence), qPrintable(err));
    const auto warnings = training.events("warning");
    QVERIFY(std::ranges::any_of(warnings, [&](const contract::EventRecord& event) {
      return QString::fromStdString(event.text) == sentence;
    }));
    storage::RunReader reader(training.path());
    const auto series = reader.series();
    const auto lr = std::ranges::find(series, "lr", &contract::SeriesInfo::name);
    QVERIFY(lr != series.end());
    storage::SeriesSamples rates;
    reader.read_series(static_cast<std::int32_t>(lr - series.begin()), 0, rates);
    QCOMPARE(rates.value.size(), std::size_t{6});
    for (std::size_t it = 0; it < rates.value.size(); ++it) {
      const double way = static_cast<double>(it) / 1000;
      QVERIFY(std::abs(rates.value[it] - 0.01 * (1 - (1 - way) * (1 - 0.001))) < 1e-8);
    }
  }
};

BATCHSCOPE_TEST(TestToldProcess)
#include "tst_told_process.moc"
