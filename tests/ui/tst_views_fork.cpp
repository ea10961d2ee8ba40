#include "tests/support/test_program.h"
#include "tests/ui/views_fixture.h"
#include "ui/session/playhead.h"
#include "ui/views/compare_page.h"
#include "ui/views/fan_dialog.h"
#include "ui/views/fork_dialog.h"
#include "ui/views/main_window.h"
#include "ui/views/run_view.h"

#include <QtTest>
#include <QtWidgets>

using namespace batchscope;
using namespace batchscope::views;

/// The dialogs of fork and fan, and the comparison that a fork opens.
class TestViewsFork : public QObject {
  Q_OBJECT
 private:
  QTemporaryDir home_;
  QString library_;
  std::unique_ptr<test::SampleRun> run_;

 private Q_SLOTS:
  void initTestCase() {
    QSettings::setPath(
        QSettings::IniFormat, QSettings::UserScope, home_.filePath(QStringLiteral("config")));
    library_ = home_.filePath(QStringLiteral("library"));
    run_ = std::make_unique<test::SampleRun>(library_.toStdString(), "aaaaaaaaaaaa", "parent");
    run_->write();
    run_->finish();
  }
  void cleanupTestCase() { run_.reset(); }

  void forkStartsAtThePlayhead() {
    session::RunSession run;
    run.open(run_->path());
    QTRY_COMPARE(run.playheadSample().step, 400);
    run.playhead()->pause();
    run.seekToStep(150);
    QTRY_COMPARE(run.playheadSample().step, 150);
    session::Launcher launcher;
    launcher.setEnginePath(QStringLiteral("/bin/true"));
    ForkDialog dialog(&run, &launcher);
    dialog.setLibrary(library_);
    dialog.show();
    QCOMPARE(dialog.table()->rowCount(), 2);
    const session::LaunchRequest first = dialog.request();
    QCOMPARE(first.fork.run, run.path());
    QCOMPARE(first.fork.step, 150);
    QCOMPARE(first.fork.children, (QStringList{QString(), QStringLiteral("optim.name=lamb")}));
    QCOMPARE(dialog.fault(), QString());
    QVERIFY(dialog.startButton()->isEnabled());
    dialog.setChildren({{{}, {}, QStringLiteral("fast"), {}, {}}});
    QVERIFY(dialog.fault().contains(QLatin1String("optim.lr")));
    QVERIFY(!dialog.startButton()->isEnabled());
    const QString folder = qEnvironmentVariable("BATCHSCOPE_PICTURES");
    if (!folder.isEmpty()) {
      dialog.setChildren(
          {{},
           {QStringLiteral("lamb"), {}, QStringLiteral("0.02"), {}, {}},
           {QStringLiteral("sgd"), QStringLiteral("on"), {}, QStringLiteral("1"), {}}});
      QTest::qWait(100);
      dialog.grab().save(folder + QStringLiteral("/fork_dialog.png"));
    }
  }

  void fanShowsProbesAndOffersOne() {
    session::RunSession run;
    run.open(run_->path());
    QTRY_COMPARE(run.playheadSample().step, 400);
    session::Launcher launcher;
    launcher.setEnginePath(QStringLiteral("/bin/true"));
    FanDialog dialog(&run, &launcher, library_);
    dialog.show();
    QCOMPARE(dialog.request().at, 400);  // it trains no more: the playhead counts
    QVERIFY(!dialog.useButton()->isEnabled());
    session::FanOutcome outcome;
    outcome.step = 400;
    outcome.seconds = 3.2;
    for (int i = 0; i < 6; ++i) {
      session::FanRow row;
      row.number = i + 1;
      row.optimizer = i < 3 ? QStringLiteral("sgd+clip") : QStringLiteral("lamb");
      row.lr = 0.02 * (1 << (i % 3));
      row.survives = i != 2;
      row.why = row.survives ? QString() : QStringLiteral("its loss rose to 9");
      row.startLoss = 2;
      row.endLoss = row.survives ? 1.8 - 0.1 * i : 9;
      row.fall = 0.1 * (i + 1);
      for (int k = 0; k < 30; ++k) {
        row.losses.append({1.0 + k, row.survives ? 2 - 0.01 * k * (i + 1) : 2 + 0.2 * k});
      }
      row.command.name = i < 3 ? "sgd" : "lamb";
      row.command.lr = row.lr;
      outcome.probes.append(row);
    }
    outcome.edges = {{QStringLiteral("sgd+clip"), 0.04, 0.08, 0.0566},
                     {QStringLiteral("lamb"), 0.08, 0, 0}};
    dialog.show(outcome);
    QCOMPARE(dialog.table()->rowCount(), 6);
    QCOMPARE(dialog.table()->currentRow(), 5);  // the fastest
    QVERIFY(dialog.useButton()->isEnabled());
    QVERIFY(dialog.table()->item(2, 6)->text().contains(QLatin1String("rose to 9")));
    std::int64_t step = -1;
    connect(
        &dialog, &FanDialog::forkWanted, this, [&](std::int64_t at, const session::FanRow& row) {
          step = at;
          QCOMPARE(row.number, 6);
        });
    const QString folder = qEnvironmentVariable("BATCHSCOPE_PICTURES");
    if (!folder.isEmpty()) {
      QTest::qWait(300);
      dialog.grab().save(folder + QStringLiteral("/fan_dialog.png"));
    }
    dialog.useButton()->click();
    QCOMPARE(step, 400);
  }

  void comparisonOpensOnParentAndChildren() {
    MainWindow window({library_, {}, false});
    window.resize(1500, 1000);
    window.show();
    // A child that waits for its turn has a folder and a spec, and no record yet.
    const QString waiting = library_ + QStringLiteral("/bbbbbbbbbbbb");
    QVERIFY(QDir().mkpath(waiting));
    QFile spec(waiting + QStringLiteral("/spec.toml"));
    QVERIFY(spec.open(QIODevice::WriteOnly));
    spec.close();
    test::SampleRun child(library_.toStdString(), "cccccccccccc", "child", 400, 0.02);
    child.write();
    child.finish();
    Q_EMIT window.launcher()->forked(run_->path(), {child.path(), waiting});
    QCOMPARE(window.compare()->count(), 3);
    QCOMPARE(window.runView()->pageName(), QStringLiteral("compare"));
    QCOMPARE(window.runView()->link()->kind(), session::XKind::kImages);
    ComparePage* page = window.runView()->comparePage();
    const auto points = [&] {
      const auto difference = window.compare()->difference(
          1, QStringLiteral("loss"), session::XKind::kImages, 0, 1e9, 1000);
      return difference.size();
    };
    QTRY_VERIFY(points() > 300);
    // Both runs have the seed of the default: one pair.
    QTRY_COMPARE(
        window.compare()
            ->pairedDifferences(QStringLiteral("loss"), session::XKind::kImages, 0, 1e9, 1000)
            .size(),
        1);
    page->pairedBox()->setChecked(true);
    QTRY_VERIFY(!page->differenceChart()->isEmpty());
    // The cross-hair reads samples, of which the drawn ones are a part.
    const Curve& mean = page->differenceChart()->plot()->curves().first();
    const auto whole = window.compare()->pairedDifferences(
        QStringLiteral("loss"), session::XKind::kImages, 0, 1e9, 1 << 30);
    QVERIFY2(mean.points.size() < whole.first().mean.size(), "all samples are drawn");
    for (const QPointF& point : whole.first().mean) {
      QCOMPARE(page->differenceChart()->plot()->sampleAt(mean, point.x()).value_or(QPointF()),
               point);
    }
  }
};

BATCHSCOPE_GUI_TEST(TestViewsFork)
#include "tst_views_fork.moc"
