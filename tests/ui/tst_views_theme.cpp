#include "tests/support/test_program.h"
#include "ui/views/palette.h"
#include "ui/views/theme.h"

#include <QDir>
#include <QSvgRenderer>
#include <QtTest>

using namespace batchscope::views;

Q_DECLARE_METATYPE(Palette)

class TestTheme : public QObject {
  Q_OBJECT
 private:
  void palettes() {
    QTest::addColumn<Palette>("palette");
    QTest::newRow("light") << lightPalette();
    QTest::newRow("dark") << darkPalette();
  }

 private Q_SLOTS:
  void contrastRatioOfKnownPairs() {
    // Black on white is 21:1 and #767676 on white 4.54:1 by WCAG's own examples.
    QVERIFY(std::abs(contrastRatio(Qt::black, Qt::white) - 21.0) < 1e-9);
    QVERIFY(std::abs(contrastRatio(QColor(0x76, 0x76, 0x76), Qt::white) - 4.54) < 0.005);
    QCOMPARE(contrastRatio(Qt::red, Qt::red), 1.0);
  }

  void textIsReadable_data() { palettes(); }
  void textIsReadable() {
    QFETCH(Palette, palette);
    const QList<QColor> grounds = {palette.window,
                                   palette.panel,
                                   palette.raised,
                                   palette.plot,
                                   palette.selection,
                                   palette.hover};
    for (const QColor& ground : grounds) {
      for (const QColor& text : {palette.text, palette.textMuted}) {
        QVERIFY2(contrastRatio(text, ground) >= 4.5,
                 qPrintable(text.name() + QLatin1String(" on ") + ground.name()));
      }
    }
    for (const QColor& ground : {palette.window, palette.panel, palette.plot}) {
      for (const QColor& text :
           {palette.good, palette.warn, palette.bad, palette.info, palette.accent}) {
        QVERIFY2(contrastRatio(text, ground) >= 4.5,
                 qPrintable(text.name() + QLatin1String(" on ") + ground.name()));
      }
    }
    QVERIFY(contrastRatio(palette.onAccent, palette.accent) >= 4.5);
    for (const QColor& soft :
         {palette.goodSoft, palette.warnSoft, palette.badSoft, palette.infoSoft}) {
      QVERIFY(contrastRatio(palette.text, soft) >= 4.5);
    }
  }

  void curvesAreVisible_data() { palettes(); }
  void curvesAreVisible() {
    QFETCH(Palette, palette);
    const QColor grey = blend(palette.saturated, palette.plot);
    for (const QColor& curve : palette.series) {
      QVERIFY2(contrastRatio(curve, palette.plot) >= 3.0, qPrintable(curve.name()));
      QVERIFY2(contrastRatio(curve, grey) >= 3.0, qPrintable(curve.name()));
    }
    QVERIFY(contrastRatio(palette.eventMark, palette.plot) >= 3.0);
    QVERIFY(contrastRatio(palette.abandoned, palette.plot) >= 2.5);
  }

  void curvesDifferWithoutColour() {
    const Palette palette = lightPalette();
    for (int i = 0; i < 8; ++i) {
      for (int j = 0; j < i; ++j) {
        QVERIFY(palette.seriesPen(i).dashPattern() != palette.seriesPen(j).dashPattern());
        QVERIFY(seriesMarker(i) != seriesMarker(j));
      }
      QVERIFY(palette.seriesPen(i).dashPattern() != palette.seriesPen(i + 8).dashPattern());
    }
  }

  void cividisGrowsInLightness() {
    double before = -1;
    for (int i = 0; i <= 100; ++i) {
      const double ratio = contrastRatio(cividis(i / 100.0), Qt::black);
      QVERIFY(ratio > before - 1e-6);
      before = ratio;
    }
    QCOMPARE(cividis(-3), cividis(0));
    QCOMPARE(cividis(7), cividis(1));
  }

  void everyIconIsDrawn() {
    Theme::instance();
    const QStringList files = QDir(QStringLiteral(":/batchscope/icons")).entryList();
    QVERIFY(files.size() > 50);
    for (const QString& file : files) {
      QSvgRenderer renderer(QStringLiteral(":/batchscope/icons/") + file);
      QVERIFY2(renderer.isValid(), qPrintable(file));
      const QImage image = icon(QFileInfo(file).completeBaseName()).pixmap(QSize(24, 24)).toImage();
      bool painted = false;
      for (int y = 0; y < image.height() && !painted; ++y) {
        for (int x = 0; x < image.width() && !painted; ++x) {
          painted = qAlpha(image.pixel(x, y)) > 0;
        }
      }
      QVERIFY2(painted, qPrintable(file));
    }
    QVERIFY(icon(QStringLiteral("no such icon")).isNull());
  }

  void iconsFollowTheTheme() {
    const QIcon play = icon(QStringLiteral("play"));
    Theme::instance().apply(ThemeMode::kLight);
    const QColor light = play.pixmap(QSize(24, 24)).toImage().pixelColor(12, 12);
    Theme::instance().apply(ThemeMode::kDark);
    const QColor dark = play.pixmap(QSize(24, 24)).toImage().pixelColor(12, 12);
    QCOMPARE(light.rgb(), lightPalette().text.rgb());
    QCOMPARE(dark.rgb(), darkPalette().text.rgb());
  }

  void styleSheetHasNoUnknownName() {
    for (const ThemeMode mode : {ThemeMode::kLight, ThemeMode::kDark}) {
      Theme::instance().apply(mode);
      QString sheet = qApp->styleSheet();
      sheet.remove(QRegularExpression(QStringLiteral("/\\*.*?\\*/")));
      QVERIFY(!sheet.isEmpty());
      QVERIFY2(!sheet.contains(QLatin1Char('@')), qPrintable(sheet));
    }
  }

  void iconsThatStatesNeedExist() {
    for (const char* state : {"queued",
                              "starting",
                              "running",
                              "paused",
                              "stopping",
                              "finished",
                              "stopped",
                              "failed",
                              "lost"}) {
      QVERIFY(!icon(QStringLiteral("state-") + QLatin1String(state)).isNull());
    }
  }
};

BATCHSCOPE_GUI_TEST(TestTheme)
#include "tst_views_theme.moc"
