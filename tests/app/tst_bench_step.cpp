#include "app/bench_checkpoint.h"
#include "app/bench_step.h"
#include "engine/contract/error.h"
#include "tests/support/test_program.h"

#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTemporaryDir>
#include <QtTest>

#include <CLI/CLI.hpp>
#include <cmath>
#include <stdexcept>

using namespace batchscope;

class TestBenchStep : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void measures_steps_that_learn() {
    const StepTiming timing = measure_step({.batch = 4, .steps = 3, .warmup = 1, .batches = 2});
    QVERIFY(timing.fastest_ms > 0 && timing.fastest_ms <= timing.median_ms);
    QVERIFY(std::isfinite(timing.loss) && timing.loss > 0);
    QVERIFY(timing.shares.update_ms > 0 && timing.shares.agvm_ms > 0);
    QVERIFY(std::abs(timing.pictures_per_s * timing.median_ms - 4000) < 1e-6);
    // The loss is a function of the seed: the same steps end where they did.
    QCOMPARE(measure_step({.batch = 4, .steps = 3, .warmup = 1, .batches = 2}).loss, timing.loss);
  }

  void writes_json_to_a_file() {
    const QTemporaryDir folder;
    const QString path = folder.filePath(QStringLiteral("step.json"));
    CLI::App app;
    add_bench_step(*app.add_subcommand("bench"));
    app.parse(
        "bench step --model tiny_faster_rcnn --precision bf16 --batch 1 --size 64 --steps 1 "
        "--json " +
        path.toStdString());
    QFile file(path);
    QVERIFY(file.open(QIODevice::ReadOnly));
    const QJsonObject out = QJsonDocument::fromJson(file.readAll()).object();
    QCOMPARE(out.value(QLatin1String("model")).toString(), QStringLiteral("tiny_faster_rcnn"));
    QCOMPARE(out.value(QLatin1String("precision")).toString(), QStringLiteral("bf16"));
    QCOMPARE(out.value(QLatin1String("batch")).toInt(), 1);
    QVERIFY(out.value(QLatin1String("median_ms")).toDouble() > 0);
    QVERIFY(out.value(QLatin1String("pictures_per_s")).toDouble() > 0);
  }

  /// Classes of pixels, masks and boxes: what each model's targets need is drawn.
  void every_kind_of_model_takes_a_step() {
    for (const char* model : {"tiny_semantic_fpn", "tiny_panoptic_fpn", "tiny_retinanet"}) {
      const StepTiming timing = measure_step(
          {.model = model, .batch = 1, .size = 64, .steps = 1, .warmup = 0, .batches = 1});
      QVERIFY2(std::isfinite(timing.loss) && timing.loss > 0, model);
    }
  }

  void saves_as_a_training_does() {
    const CheckpointCost cost =
        measure_checkpoint({.optimizer = "adamw", .batch = 2, .every = 2, .saves = 2});
    // Weights and two moments; with SGD, one.
    QVERIFY(cost.state_mb > 0 && cost.written_ms > 0 && cost.waited_ms > 0 && cost.step_ms > 0);
    const CheckpointCost plain =
        measure_checkpoint({.optimizer = "sgd", .batch = 2, .every = 2, .saves = 2});
    QVERIFY2(std::abs(cost.state_mb / plain.state_mb - 1.5) < 0.1,
             qPrintable(QString::number(cost.state_mb / plain.state_mb)));
    QVERIFY_THROWS_EXCEPTION(contract::SpecError, measure_checkpoint({.saves = 0}));
  }

  void refuses_nonsense() {
    QVERIFY_THROWS_EXCEPTION(contract::SpecError, measure_step({.batch = 0}));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, measure_step({.model = "no_such_model"}));
  }
};

BATCHSCOPE_TEST(TestBenchStep)
#include "tst_bench_step.moc"
