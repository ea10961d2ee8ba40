#include "tests/app/engine_runner.h"
#include "tests/support/test_program.h"

#include <QDir>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

#include <map>

using namespace batchscope;

namespace {

QStringList settings(int steps) {
  return {QStringLiteral("schedule.steps=%1").arg(steps),
          QStringLiteral("eval.at_end=false"),
          QStringLiteral("eval.probes=0"),
          QStringLiteral("batch.accumulation=2")};
}

/// Loss by step on the whole record.
std::map<std::int64_t, double> losses(const std::filesystem::path& run) {
  storage::RunReader reader(run);
  storage::RowAxis axis;
  reader.read_axis(0, axis);
  storage::SeriesSamples samples;
  const auto series = reader.series();
  for (std::size_t i = 0; i < series.size(); ++i) {
    if (series[i].name == "loss") {
      reader.read_series(static_cast<std::int32_t>(i), 0, samples);
    }
  }
  std::map<std::int64_t, double> found;
  for (std::size_t i = 0; i < axis.step.size() && i < samples.value.size(); ++i) {
    found[axis.step[i]] = samples.value[i];
  }
  return found;
}

/// True when both have the same losses at every step after `step`, to the last bit.
bool same_after(const std::map<std::int64_t, double>& parent,
                const std::map<std::int64_t, double>& child,
                std::int64_t step) {
  std::map<std::int64_t, double> rest(parent.upper_bound(step), parent.end());
  return !child.empty() && rest == child;
}

/// `runs …` on a training's library; the folders that it named.
struct Started {
  Result result;
  std::vector<std::filesystem::path> folders;
};
Started runs(const Training& training, const QStringList& arguments) {
  Started started;
  started.result = run_engine(QStringList{QStringLiteral("runs")} + arguments +
                              QStringList{QStringLiteral("--library"), training.library()->path()});
  for (const QString& line : started.result.out.split(QLatin1Char('\n'), Qt::SkipEmptyParts)) {
    started.folders.push_back(line.section(QLatin1Char(' '), 2).toStdString());
  }
  return started;
}

}  // namespace

/// `runs fork` and `runs rerun` as their users call them.
class TestForkProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void childrenOfAStoredRun() {
    Training parent(settings(60) << QStringLiteral("checkpoint.every_steps=20"));
    QCOMPARE(parent.wait(), 0);
    const auto whole = losses(parent.path());
    QCOMPARE(whole.size(), std::size_t(60));
    const Started same = runs(parent,
                              {QStringLiteral("fork"),
                               parent.id,
                               QStringLiteral("--at"),
                               QStringLiteral("50"),
                               QStringLiteral("--child"),
                               QString(),
                               QStringLiteral("--child"),
                               QStringLiteral("optim.name=adamw,optim.lr=0.003")});
    QVERIFY2(same.result.code == 0, qPrintable(same.result.err));
    QCOMPARE(same.folders.size(), std::size_t(2));
    QVERIFY(same.result.err.contains(QStringLiteral("10 updates after step 40")));
    QVERIFY(same_after(whole, losses(same.folders[0]), 50));
    const auto other = losses(same.folders[1]);
    QCOMPARE(other.begin()->first, 51);
    // The same pictures and weights: the first loss is the parent's, the rest is not.
    QCOMPARE(other.at(51), whole.at(51));
    QVERIFY(other.at(60) != whole.at(60));
    storage::RunReader reader(same.folders[1]);
    QCOMPARE(reader.info().parent_run, parent.id.toStdString());
    QCOMPARE(reader.info().parent_step, 50);
    QCOMPARE(storage::summarise(same.folders[1]).optimizer, std::string("adamw"));
  }

  void rerunEqualsTheOriginal() {
    Training parent(settings(100000));
    QVERIFY(parent.reach(5));
    QCOMPARE(parent.control(words("lr 0.0123456789")).code, 0);
    QCOMPARE(parent.control(words("optimizer lamb --lr 0.01 --lr-mapping target_now")).code, 0);
    QCOMPARE(parent.control(words("undo")).code, 0);
    // Paused, so that it does not train past its end while that is told.
    QCOMPARE(parent.control(words("pause")).code, 0);
    QCOMPARE(parent.control(words("accumulation 1")).code, 0);
    QVERIFY(QTest::qWaitFor([&] { return parent.events("accumulation").size() == 1; }, kPatience));
    const auto changed = parent.events("accumulation").front();
    QCOMPARE(parent.control({QStringLiteral("end"), QString::number(changed.step + 60)}).code, 0);
    QCOMPARE(parent.control(words("resume")).code, 0);
    QCOMPARE(parent.wait(), 0);
    const Started again = runs(parent, {QStringLiteral("rerun"), parent.id});
    QVERIFY2(again.result.code == 0, qPrintable(again.result.err));
    // Rows that an undo abandoned come first and are written over by those of the line.
    const auto first = losses(parent.path()), second = losses(again.folders.at(0));
    QVERIFY(first == second);
    QCOMPARE(storage::RunReader(again.folders[0]).info().parent_run, parent.id.toStdString());
  }

  void childOfARunThatTrains() {
    Training parent(settings(100000));
    QVERIFY(parent.reach(10));
    const Started child = runs(parent,
                               {QStringLiteral("fork"),
                                parent.id,
                                QStringLiteral("--no-start"),
                                QStringLiteral("--json")});
    QVERIFY2(child.result.code == 0, qPrintable(child.result.err));
    const QJsonObject one =
        QJsonDocument::fromJson(child.result.out.toUtf8()).array()[0].toObject();
    const qint64 step = one.value(QLatin1String("parent_step")).toInteger();
    QVERIFY(step >= 10);
    QCOMPARE(one.value(QLatin1String("executed_again")).toInteger(-1), 0);
    QVERIFY(parent.reach(step + 30));
    QCOMPARE(parent.control(words("stop")).code, 0);
    QCOMPARE(parent.wait(), 0);
    const QString id = one.value(QLatin1String("id")).toString();
    Training prepared(parent.library(), {}, {QStringLiteral("--resume"), id});
    QCOMPARE(prepared.id, id);
    QVERIFY(prepared.reach(25));
    QCOMPARE(prepared.control(words("stop")).code, 0);
    QCOMPARE(prepared.wait(), 0);
    const auto whole = losses(parent.path()), own = losses(prepared.path());
    QCOMPARE(own.begin()->first, step + 1);
    for (std::int64_t at = step + 1; at <= step + 25; ++at) {
      QCOMPARE(own.at(at), whole.at(at));
    }
  }

  void refusalsNameWhatIsWrong() {
    Training parent(settings(12));
    QCOMPARE(parent.wait(), 0);
    const auto refused = [&](const QStringList& arguments, const char* word) {
      const Started started = runs(parent, arguments);
      return started.result.code == 2 && started.result.err.contains(QLatin1String(word));
    };
    const QString fork = QStringLiteral("fork"), at = QStringLiteral("--at");
    QVERIFY(refused({fork, QStringLiteral("nothing")}, "nothing"));
    QVERIFY(refused({fork, parent.id, at, QStringLiteral("13")}, "from step 0 to 12"));
    QVERIFY(refused({fork, parent.id, at, QStringLiteral("soon")}, "soon"));
    QVERIFY(refused({fork,
                     parent.id,
                     at,
                     QStringLiteral("6"),
                     QStringLiteral("--set"),
                     QStringLiteral("optim.lr=none")},
                    "optim.lr"));
    QVERIFY(refused({fork, parent.id, QStringLiteral("--set"), QStringLiteral("model.norm=bn")},
                    "model.norm"));
    QVERIFY(refused({QStringLiteral("rerun"),
                     parent.id,
                     QStringLiteral("--set"),
                     QStringLiteral("optim.nam=lamb")},
                    "optim.name"));
    QCOMPARE(QDir(parent.library()->path()).entryList(QDir::Dirs | QDir::NoDotAndDotDot).size(), 1);
  }
};

BATCHSCOPE_TEST(TestForkProcess)
#include "tst_fork_process.moc"
