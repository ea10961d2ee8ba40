#include "session_fixture.h"
#include "tests/support/test_program.h"
#include "ui/session/command_log.h"
#include "ui/session/engine_client.h"
#include "ui/session/eval_model.h"
#include "ui/session/event_model.h"
#include "ui/session/run_list_model.h"

#include <QAbstractItemModelTester>
#include <QDir>
#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

using namespace batchscope;
using namespace batchscope::session;
using batchscope::test::WrittenRun;
using Mode = QAbstractItemModelTester::FailureReportingMode;

namespace {

EventItem eventAt(std::int64_t id, std::int64_t step, bool abandoned = false) {
  EventItem item;
  item.id = id;
  item.step = step;
  item.kind = QStringLiteral("optimizer");
  item.text = QStringLiteral("event %1").arg(id);
  item.abandoned = abandoned;
  return item;
}

EvalItem evalAt(std::int64_t id, const QMap<QString, double>& metrics) {
  EvalItem item;
  item.id = id;
  item.step = id * 10;
  item.metrics = metrics;
  return item;
}

}  // namespace

class TestModels : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void events() {
    EventModel model;
    QAbstractItemModelTester tester(&model, Mode::QtTest);
    QVERIFY(model.setEvents({eventAt(1, 5), eventAt(2, 9)}));
    QCOMPARE(model.rowCount(), 2);
    QCOMPARE(model.index(1, EventModel::kStepColumn).data().toLongLong(), 9);
    QCOMPARE(model.index(1, EventModel::kKindColumn).data().toString(),
             QStringLiteral("Optimizer switch"));
    const QPersistentModelIndex kept = model.index(0, 0);
    QSignalSpy changed(&model, &QAbstractItemModel::dataChanged);
    QVERIFY(model.setEvents({eventAt(1, 5, true), eventAt(2, 9), eventAt(3, 12)}));
    QVERIFY(kept.isValid());
    QCOMPARE(changed.count(), 1);
    QVERIFY(kept.data(EventModel::kAbandonedRole).toBool());
    QVERIFY(!model.setEvents({eventAt(1, 5, true), eventAt(2, 9), eventAt(3, 12)}));
    QVERIFY(model.setEvents({eventAt(1, 5)}));  // the playhead went back
    QCOMPARE(model.rowCount(), 1);
    QVERIFY(model.setEvents({}));
  }

  void evals() {
    EvalModel model;
    QAbstractItemModelTester tester(&model, Mode::QtTest);
    const auto ap = QStringLiteral("AP");
    model.setEvals({evalAt(1, {{ap, 0.1}})});
    QCOMPARE(model.columnCount(), EvalModel::kFixedColumns + 1);
    model.setEvals({evalAt(1, {{ap, 0.1}}), evalAt(2, {{ap, 0.2}, {QStringLiteral("mIoU"), 0.5}})});
    QCOMPARE(model.metrics(), (QStringList{ap, QStringLiteral("mIoU")}));
    QVERIFY(!model.index(0, EvalModel::kFixedColumns + 1).data().isValid());
    QCOMPARE(model.index(1, EvalModel::kFixedColumns + 1).data().toDouble(), 0.5);
    QCOMPARE(model.headerData(EvalModel::kFixedColumns, Qt::Horizontal, Qt::DisplayRole), ap);
    model.setEvals({});
    QCOMPARE(model.rowCount(), 0);
  }

  void commandLog() {
    EngineClient client;
    CommandLog log;
    QAbstractItemModelTester tester(&log, Mode::QtTest);
    log.follow(&client);
    QSignalSpy pending(&log, &CommandLog::pendingChanged);
    Q_EMIT client.sent(1, QStringLiteral("pause"), false);
    Q_EMIT client.sent(2, QStringLiteral("lr 0.01"), false);
    QCOMPARE(log.pendingCount(), 2);
    QCOMPARE(log.latest().id, 2);
    Q_EMIT client.taken(2);
    QCOMPARE(log.index(0, CommandLog::kStateColumn).data().toString(),
             QStringLiteral("pending: at the next step"));
    Q_EMIT client.applied(2, 412, {});
    QCOMPARE(log.index(0, CommandLog::kStateColumn).data().toString(),
             QStringLiteral("applied at step 412"));
    Q_EMIT client.noAnswer(1, QStringLiteral("no answer yet"));
    QCOMPARE(log.pendingCount(), 1);
    Q_EMIT client.refused(1, QStringLiteral("too late"), QStringLiteral("step"));
    QCOMPARE(log.pendingCount(), 0);
    QCOMPARE(log.index(1, CommandLog::kStateColumn).data().toString(),
             QStringLiteral("refused: too late"));
    QCOMPARE(log.index(1, 0).data(CommandLog::kFieldRole).toString(), QStringLiteral("step"));
    Q_EMIT client.taken(1);  // out of order: a final answer stays
    QCOMPARE(log.entries()[1].state, CommandLog::State::kRefused);
    QCOMPARE(pending.last().first().toInt(), 0);
    // What only asks is never said to have changed something.
    Q_EMIT client.sent(3, QStringLiteral("switch to lamb"), true);
    Q_EMIT client.applied(3, 412, QStringLiteral("a table"));
    QCOMPARE(log.index(0, CommandLog::kStateColumn).data().toString(),
             QStringLiteral("preview only"));
  }

  void runListNamesTheResult() {
    QTemporaryDir library;
    const std::filesystem::path path = library.path().toStdString();
    const auto run = [&](const char* id, const std::map<std::string, double>& metrics) {
      WrittenRun written(path, id, id);
      written.rows(1, 10, [](std::int64_t) { return 1.0; });
      if (!metrics.empty())
        written.eval(10, metrics);
      written.finish();
    };
    run("aaaaaaaaaaaa", {{"AP", 0.3}, {"segm_AP", 0.25}});
    run("bbbbbbbbbbbb", {{"AP", 0.3}, {"mIoU", 0.75}, {"PQ", 0.5}, {"PQ_th", 0.4}});
    run("cccccccccccc", {{"mIoU", 0.75}});
    run("dddddddddddd", {});
    RunListModel model;
    model.setLibrary(library.path());
    QTRY_COMPARE(model.rowCount(), 4);
    const auto cell = [&](const char* id, int role = Qt::DisplayRole) {
      return model.index(model.rowOf(QLatin1String(id)), RunListModel::kResultColumn).data(role);
    };
    QCOMPARE(cell("aaaaaaaaaaaa").toString(), QStringLiteral("AP 0.300"));
    QCOMPARE(cell("bbbbbbbbbbbb").toString(), QStringLiteral("PQ 0.500"));
    QCOMPARE(cell("cccccccccccc").toString(), QStringLiteral("mIoU 0.750"));
    QCOMPARE(cell("dddddddddddd").toString(), QString());
    QCOMPARE(cell("cccccccccccc", RunListModel::kSortRole).toDouble(), 0.75);
    QCOMPARE(cell("dddddddddddd", RunListModel::kSortRole).toDouble(), -1.0);
    QCOMPARE(model.headerData(RunListModel::kResultColumn, Qt::Horizontal, Qt::DisplayRole),
             QStringLiteral("Result"));
  }

  void runList() {
    QTemporaryDir library;
    const std::filesystem::path path = library.path().toStdString();
    auto first = std::make_unique<WrittenRun>(path, "aaaaaaaaaaaa", "first");
    first->rows(1, 10, [](std::int64_t step) { return 1.0 / static_cast<double>(step); });
    first->eval(10, 0.3);
    first->finish();
    WrittenRun second(path, "bbbbbbbbbbbb", "second");
    second.rows(1, 30, [](std::int64_t) { return 1.0; });
    second.state(contract::RunState::kRunning, "lamb");
    second.commit();
    RunListModel model;
    QAbstractItemModelTester tester(&model, Mode::QtTest);
    RunFilterModel filter;
    QAbstractItemModelTester filterTester(&filter, Mode::QtTest);
    filter.setSourceModel(&model);
    model.setInterval(50);
    model.setLibrary(library.path());
    QTRY_COMPARE(model.rowCount(), 2);
    const auto cell = [&](const char* id, int column) {
      return model.index(model.rowOf(QLatin1String(id)), column);
    };
    QCOMPARE(cell("aaaaaaaaaaaa", RunListModel::kStateColumn).data().toString(),
             QStringLiteral("finished"));
    QCOMPARE(cell("aaaaaaaaaaaa", RunListModel::kResultColumn).data().toString(),
             QStringLiteral("AP 0.300"));
    QCOMPARE(cell("bbbbbbbbbbbb", RunListModel::kStepColumn).data().toString(),
             QStringLiteral("30 / 1000"));
    QVERIFY(cell("bbbbbbbbbbbb", 0).data(RunListModel::kLiveRole).toBool());
    QCOMPARE(cell("bbbbbbbbbbbb", 0).data(RunListModel::kIconRole).toString(),
             QStringLiteral("state-running"));
    QVERIFY(cell("bbbbbbbbbbbb", 0)
                .data(RunListModel::kEvidenceRole)
                .toString()
                .contains(QStringLiteral("lock held")));
    QCOMPARE(cell("bbbbbbbbbbbb", 0).data(RunListModel::kProgressRole).toDouble(), 0.03);

    filter.sort(RunListModel::kStepColumn, Qt::DescendingOrder);
    QCOMPARE(filter.index(0, 0).data(RunListModel::kIdRole).toString(),
             QStringLiteral("bbbbbbbbbbbb"));
    filter.sort(RunListModel::kStepColumn, Qt::AscendingOrder);
    QCOMPARE(filter.index(0, 0).data(RunListModel::kIdRole).toString(),
             QStringLiteral("aaaaaaaaaaaa"));
    filter.setText(QStringLiteral("LAMB"));
    QCOMPARE(filter.rowCount(), 1);
    filter.setText(QStringLiteral("nothing like this"));
    QCOMPARE(filter.rowCount(), 0);
    filter.setText({});

    // It grows and changes while it is shown; a selected row stays.
    const QPersistentModelIndex kept = cell("aaaaaaaaaaaa", 0);
    second.rows(31, 40, [](std::int64_t) { return 1.0; });
    second.state(contract::RunState::kPaused, "lamb");
    second.commit();
    WrittenRun third(path, "cccccccccccc", "third");
    QTRY_COMPARE(model.rowCount(), 3);
    QTRY_COMPARE(cell("bbbbbbbbbbbb", RunListModel::kStateColumn).data().toString(),
                 QStringLiteral("paused"));
    QCOMPARE(kept.data(RunListModel::kIdRole).toString(), QStringLiteral("aaaaaaaaaaaa"));
    QVERIFY(QDir(first->path()).removeRecursively());
    QTRY_COMPARE(model.rowCount(), 2);
  }

  void aDamagedRunHidesNoOther() {
    QTemporaryDir library;
    const std::filesystem::path path = library.path().toStdString();
    WrittenRun good(path, "aaaaaaaaaaaa", "good");
    QVERIFY(QDir(library.path()).mkdir(QStringLiteral("bbbbbbbbbbbb")));
    QFile bad(library.filePath(QStringLiteral("bbbbbbbbbbbb/run.sqlite")));
    QVERIFY(bad.open(QIODevice::WriteOnly));
    bad.write(QByteArray(5000, 'x'));
    bad.close();
    RunListModel model;
    QAbstractItemModelTester tester(&model, Mode::QtTest);
    model.setLibrary(library.path());
    QTRY_COMPARE(model.rowCount(), 2);
    int withError = 0;
    for (const auto& run : model.runs())
      withError += run.status.error.isEmpty() ? 0 : 1;
    QCOMPARE(withError, 1);
  }

  void aMissingLibraryIsEmpty() {
    RunListModel model;
    QSignalSpy refreshed(&model, &RunListModel::refreshed);
    QSignalSpy failed(&model, &RunListModel::failed);
    model.setLibrary(QStringLiteral("/nonexistent/library"));
    QTRY_VERIFY(refreshed.count() > 0);
    QVERIFY(model.isLoaded());
    QCOMPARE(model.rowCount(), 0);
    QCOMPARE(failed.count(), 0);
  }
};

BATCHSCOPE_TEST(TestModels)
#include "tst_session_models.moc"
