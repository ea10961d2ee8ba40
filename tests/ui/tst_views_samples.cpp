#include "engine/contract/stored_predictions.h"
#include "tests/support/test_program.h"
#include "tests/ui/views_fixture.h"
#include "ui/views/chart_link.h"
#include "ui/views/probe_view.h"
#include "ui/views/samples_page.h"

#include <QtTest>
#include <QtWidgets>

using namespace batchscope;
using namespace batchscope::views;

namespace {

/// 4 x 3 pixels: a predicted mask in the first column, a true one in the last.
session::ProbeItem masked(const QString& name) {
  session::ProbeItem probe;
  probe.name = name;
  probe.width = 4;
  probe.height = 3;
  probe.predictedStep = 1;
  probe.truth = {{3, 0, 4, 3, 1, QStringLiteral("a"), 1}};
  probe.predictions = {{0, 0, 1, 3, 2, QStringLiteral("b"), 0.6}};
  probe.truthPixels.masks = {{9, 3}};
  probe.predictionPixels.masks = {{0, 3, 9}};
  return probe;
}

QList<session::ProbeItem> many(int count) {
  QList<session::ProbeItem> probes;
  for (int i = 0; i < count; ++i) {
    probes.append(masked(QString::number(i)));
  }
  return probes;
}

}  // namespace

class TestSamples : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void overlayIsPaintedOncePerChange() {
    ProbeView view;
    view.resize(200, 200);
    view.setProbe(masked(QStringLiteral("p")));
    view.grab();
    auto key = view.overlay().cacheKey();
    QVERIFY(!view.overlay().isNull());
    const auto repainted = [&view, &key] {
      view.grab();
      return std::exchange(key, view.overlay().cacheKey()) != key;
    };
    QVERIFY(!repainted());
    view.setThreshold(0.5);
    view.setShown(true, true);
    view.setPixelsShown(true);
    QVERIFY(!repainted());
    view.setThreshold(0.7);
    QVERIFY(repainted());
    view.setShown(false, true);
    QVERIFY(repainted());
    view.setProbe(masked(QStringLiteral("p")));
    QVERIFY(repainted());
    view.resize(300, 100);
    QVERIFY(!repainted());
  }

  void nameFollowsTheScore() {
    ProbeView view;
    view.setProbe(masked(QStringLiteral("p")));
    QCOMPARE(view.accessibleName(), QStringLiteral("Picture p: 1 objects, 1 predictions shown"));
    view.setThreshold(0.9);
    QCOMPARE(view.accessibleName(), QStringLiteral("Picture p: 1 objects, 0 predictions shown"));
    view.setThreshold(0.1);
    view.setShown(true, false);
    QCOMPARE(view.accessibleName(), QStringLiteral("Picture p: 1 objects, 0 predictions shown"));
  }

  void manyPicturesScroll() {
    ProbeGrid grid;
    const QSize least = grid.minimumSizeHint();
    grid.resize(700, 400);
    grid.show();
    QVERIFY(grid.setProbes(many(256)));
    QCOMPARE(grid.minimumSizeHint(), least);
    QTRY_VERIFY(grid.verticalScrollBar()->maximum() > 0);
    QCOMPARE(grid.horizontalScrollBar()->maximum(), 0);
    for (const ProbeView* view : grid.views()) {
      QVERIFY(view->width() >= ProbeGrid::kLeastSide && view->height() >= ProbeGrid::kLeastSide);
    }
    // As wide as the window allows, and wrapped anew when it changes.
    const int row = grid.views().first()->y();
    const auto columns = [&grid, row] {
      return std::count_if(grid.views().cbegin(), grid.views().cend(), [row](const ProbeView* v) {
        return v->y() == row;
      });
    };
    QCOMPARE(columns(), 4);
    grid.resize(400, 400);
    QTRY_COMPARE(columns(), 2);
    QVERIFY(!grid.setProbes(many(256)));

    QVERIFY(grid.setProbes(many(4)));
    grid.resize(800, 620);
    QTRY_COMPARE(grid.verticalScrollBar()->maximum(), 0);
    QTRY_COMPARE(columns(), 2);
    QTRY_VERIFY(grid.views().first()->width() > 380);
    const auto inside = [&grid](const ProbeView* view) {
      return grid.viewport()->rect().contains(view->geometry());
    };
    QTRY_VERIFY(std::all_of(grid.views().cbegin(), grid.views().cend(), inside));
  }

  void pageSaysWhatIsStored() {
    const QTemporaryDir home;
    test::SampleRun stored(home.path().toStdString(), "a1b2c3d4e5f6", "first", 100);
    stored.rows(1, 100);
    contract::PredictionRecord prediction;
    prediction.step = 100;
    prediction.boxes = {{20, 22, 60, 62, 1, 0.92F}};
    prediction.pixels.masks = {{0, 128, 128 * 127}};
    stored.writer().prediction(prediction);
    stored.finish();
    session::RunSession run;
    run.open(stored.path());
    ChartLink link;
    SamplesPage page(&link);
    page.resize(900, 700);
    page.setRun(&run);
    page.show();
    QTRY_COMPARE(page.views().size(), 4);
    const auto says = [&page](const QString& text) {
      const auto labels = page.findChildren<QLabel*>();
      return std::any_of(labels.cbegin(), labels.cend(), [&text](const QLabel* label) {
        return label->isVisible() && label->text().contains(text);
      });
    };
    QTRY_VERIFY(says(QStringLiteral("predicted at step 100")));
    QVERIFY(says(QStringLiteral("the best %1").arg(contract::kMostStoredBoxes)));
    QCOMPARE(page.scoreSlider()->minimum(), 5);
    QVERIFY(page.scoreSlider()->toolTip().contains(QStringLiteral("0.05")));
    // A refresh that is about curves leaves the overlays alone.
    const ProbeView* view = page.views().first();
    QTRY_VERIFY(!view->overlay().isNull());
    const auto key = view->overlay().cacheKey();
    Q_EMIT run.dataChanged();
    QTest::qWait(300);
    QCOMPARE(view->overlay().cacheKey(), key);
    // Before anything was predicted.
    run.seekToStep(10);
    QTRY_VERIFY(says(QStringLiteral("nothing is predicted yet")));
    QCOMPARE(page.views().size(), 4);
  }
};

BATCHSCOPE_GUI_TEST(TestSamples)
#include "tst_views_samples.moc"
