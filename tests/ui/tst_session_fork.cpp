#include "engine/contract/run_spec.h"
#include "tests/support/test_program.h"
#include "ui/session/fan_runner.h"
#include "ui/session/fork_form.h"
#include "ui/session/launcher.h"
#include "ui/session/paired_runs.h"

#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <limits>

using namespace batchscope;
using namespace batchscope::session;

namespace {

QString tomlOf(const char* optimizer, int seed, const char* name = "a") {
  contract::RunSpec spec;
  spec.run.name = name;
  spec.run.seed = seed;
  spec.optim.name = optimizer;
  return QString::fromStdString(contract::to_toml(spec));
}

QList<QPointF> line(double offset, double slope) {
  QList<QPointF> points;
  for (int i = 1; i <= 4; ++i)
    points.append({100.0 * i, offset + slope * i});
  return points;
}

SeededRun seeded(const char* optimizer, int seed, const QList<QPointF>& points) {
  auto run = seededRun(tomlOf(optimizer, seed, optimizer), QLatin1String(optimizer));
  run.points = points;
  return run;
}

}  // namespace

class TestFork : public QObject {
  Q_OBJECT

 private:
  QTemporaryDir folder_;

  QString fakeEngine(const QByteArray& body) {
    const auto path = folder_.filePath(QStringLiteral("batchscope-engine"));
    QFile file(path);
    if (!file.open(QIODevice::WriteOnly | QIODevice::Truncate))
      return {};
    file.write("#!/bin/sh\n" + body + "\n");
    file.setPermissions(QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
    return path;
  }

 private Q_SLOTS:
  void differenceIsTakenAtEqualPictures() {
    // Batches of 100 and of 50: at 100 and 200 pictures both have a sample.
    const QList<QPointF> base = {{100, 4}, {200, 2}, {300, 1}};
    const QList<QPointF> other = {{50, 9}, {100, 5}, {150, 4}, {200, 3}, {250, 2}, {350, 0}};
    QCOMPARE(differenceAt(base, other), (QList<QPointF>{{100, 1}, {150, 1}, {200, 1}, {250, 0.5}}));
    QVERIFY(differenceAt({}, other).isEmpty());
    QVERIFY(differenceAt(base, {}).isEmpty());
    const auto nan = std::numeric_limits<double>::quiet_NaN();
    QCOMPARE(differenceAt({{1, nan}, {2, 1}}, {{1, 1}, {2, 3}}), (QList<QPointF>{{2, 2}}));
    QCOMPARE(smoothed({{1, 1}, {2, 3}}, 0.5), (QList<QPointF>{{1, 1}, {2, 1.75 / 0.75}}));
    QList<QPointF> many;
    for (int i = 0; i < 1000; ++i)
      many.append({double(i), i == 555 ? 9.0 : double(i % 2)});
    const auto few = thinned(many, 0, 1000, 10);
    QVERIFY(few.size() <= 20);
    QVERIFY(few.contains(QPointF(555, 9)));
  }

  void pairsAreOfOneSeed() {
    const QList<SeededRun> runs = {seeded("sgd", 1, line(5, -1)),
                                   seeded("lamb", 2, line(8, -2)),
                                   seeded("sgd", 2, line(6, -1)),
                                   seeded("lamb", 1, line(4, -1)),
                                   seeded("lamb", 3, line(99, 0)),
                                   seeded("adamw", 3, line(1, 0))};
    const auto paired = pairOverSeeds(runs);
    QCOMPARE(paired.size(), 1);  // adamw has no partner of its seed
    QCOMPARE(paired[0].label, QStringLiteral("lamb"));
    QCOMPARE(paired[0].pairs, 2);
    // Seed 1: -1 throughout; seed 2: 2 - i.
    QCOMPARE(paired[0].mean, (QList<QPointF>{{100, 0}, {200, -0.5}, {300, -1}, {400, -1.5}}));
    QCOMPARE(paired[0].low, (QList<QPointF>{{100, -1}, {200, -1}, {300, -1}, {400, -2}}));
    QCOMPARE(paired[0].high, (QList<QPointF>{{100, 1}, {200, 0}, {300, -1}, {400, -1}}));
    QCOMPARE(paired[0].endMean, -1.5);
    QCOMPARE(paired[0].endSpread, std::sqrt(0.5));
    QVERIFY(pairOverSeeds({}).isEmpty());
  }

  void childrenAreWrittenAsTheEngineReadsThem() {
    QCOMPARE(childText({}), QString());
    QCOMPARE(childText({QStringLiteral("lamb"),
                        QStringLiteral("on"),
                        QStringLiteral(" 0.01 "),
                        QStringLiteral("1"),
                        QStringLiteral("optim.betas=[0.9, 0.99]")}),
             QStringLiteral("optim.name=lamb,optim.agvm.enabled=true,optim.lr=0.01,"
                            "optim.clip_norm=1,optim.betas=[0.9, 0.99]"));
    const auto fault = [](const ForkChildRow& row, const char* seeds = "") {
      return forkFault(tomlOf("sgd", 1), {row}, QLatin1String(seeds));
    };
    QCOMPARE(fault({QStringLiteral("lamb"), {}, QStringLiteral("0.01"), {}, {}}, "1, 2"),
             QString());
    QVERIFY(fault({{}, {}, QStringLiteral("fast"), {}, {}}).contains(QLatin1String("optim.lr")));
    QVERIFY(fault({{}, {}, {}, {}, QStringLiteral("optim.momentun=1")})
                .contains(QLatin1String("momentum")));
    QVERIFY(fault({{}, {}, {}, {}, QStringLiteral("model.norm=bn")})
                .contains(QLatin1String("model.norm")));
    QVERIFY(fault({{}, {}, {}, {}, QStringLiteral("lamb")}).contains(QLatin1String("lamb")));
    QVERIFY(fault({}, "one").contains(QLatin1String("one")));
    QVERIFY(!forkFault(tomlOf("sgd", 1), {}, {}).isEmpty());
  }

  void allChildrenOfAForkAreNamed() {
    Launcher launcher;
    launcher.setEnginePath(
        fakeEngine("echo \"$@\" > " + folder_.path().toUtf8() +
                   "/args\necho 'run a1 /lib/a1'\nsleep 0.2\necho 'run a2 /lib/a2'\nsleep 20"));
    QSignalSpy started(&launcher, &Launcher::started), forked(&launcher, &Launcher::forked);
    LaunchRequest request;
    request.library = QStringLiteral("/lib");
    request.fork = {QStringLiteral("/lib/p"),
                    40,
                    {QString(), QStringLiteral("optim.name=lamb")},
                    {},
                    QStringLiteral("target_now"),
                    {},
                    true};
    QVERIFY(launcher.commandLine(request).contains(
        QLatin1String("runs fork /lib/p --at 40 --child '' --child optim.name=lamb "
                      "--lr-mapping target_now --parallel --library /lib")));
    QVERIFY(launcher.start(request));
    QTRY_COMPARE(forked.count(), 1);
    QCOMPARE(started.count(), 0);
    QCOMPARE(forked[0][0].toString(), QStringLiteral("/lib/p"));
    QCOMPARE(forked[0][1].toStringList(),
             (QStringList{QStringLiteral("/lib/a1"), QStringLiteral("/lib/a2")}));
  }

  void aFanIsReadAndItsProgressTold() {
    const QByteArray json =
        R"({"step":40,"base_lr":0.1,"seconds":2.5,"criterion":"c","probes":[)"
        R"({"number":1,"optim":"lamb","lr":0.05,"seed":null,"survives":true,"why":"",)"
        R"("start_loss":2.0,"end_loss":1.0,"fall":0.5,"losses":[2.0,null,1.0],)"
        R"("command":{"name":"lamb","lr":"0.05","agvm":"off","lr_mapping":"target_now",)"
        R"("state":"carry","decay_mapping":"match","optim.clip_norm":"0"}},)"
        R"({"number":2,"optim":"lamb","lr":0.1,"seed":3,"survives":false,"why":"it rose",)"
        R"("start_loss":2.0,"end_loss":null,"fall":null,"losses":[2.0],"command":{"lr":"0.1"}}],)"
        R"("edges":[{"optim":"lamb","highest_surviving":0.05,"lowest_failing":0.1,"edge":0.07}]})";
    FanRunner runner;
    QSignalSpy progress(&runner, &FanRunner::progress), failed(&runner, &FanRunner::failed);
    std::optional<FanOutcome> outcome;
    connect(&runner, &FanRunner::finished, this, [&](const FanOutcome& read) { outcome = read; });
    FanRequest request{
        QStringLiteral("r"), QStringLiteral("/lib"), QStringLiteral("x2^0..1"), {}, 9};
    const auto engine = fakeEngine(
        "echo 'probe 1 of 2: lamb, lr 0.05: survives' >&2\ncat <<'END'\n" + json + "\nEND");
    QVERIFY(runner.start(engine, request));
    QTRY_VERIFY(outcome.has_value());
    QCOMPARE(failed.count(), 0);
    QCOMPARE(progress.count(), 1);
    QCOMPARE(progress[0][1].toInt(), 2);
    QCOMPARE(outcome->step, 40);
    QCOMPARE(outcome->probes.size(), 2);
    QCOMPARE(outcome->probes[0].losses, (QList<QPointF>{{1, 2}, {3, 1}}));
    QCOMPARE(*outcome->probes[0].command.name, std::string("lamb"));
    QCOMPARE(*outcome->probes[0].command.lr, 0.05);
    QCOMPARE(*outcome->probes[1].seed, std::int64_t(3));
    QVERIFY(std::isnan(outcome->probes[1].endLoss));
    QCOMPARE(outcome->edges[0].edge, 0.07);
    QVERIFY(!readFan("nothing").has_value());

    const auto refusing = fakeEngine("echo 'batchscope-engine: no such run' >&2\nexit 2");
    QVERIFY(runner.start(refusing, request));
    QTRY_COMPARE(failed.count(), 1);
    QVERIFY(failed[0][0].toString().contains(QLatin1String("no such run")));
  }
};

BATCHSCOPE_TEST(TestFork)
#include "tst_session_fork.moc"
