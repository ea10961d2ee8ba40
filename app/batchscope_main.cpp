// The window's program: options, settings, MainWindow.
#include "ui/session/run_session.h"
#include "ui/views/main_window.h"
#include "ui/views/run_view.h"
#include "ui/views/theme.h"
#include "ui/views/widgets.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QFileInfo>
#include <QSettings>
#include <QTimer>

#include <cstdio>

using namespace batchscope;

namespace {

constexpr int kSettleMs = 700;
constexpr int kGiveUpMs = 30000;

/// Saves a picture of the window once the page has read all it shows, then quits.
void screenshotWhenSettled(views::MainWindow& window, const QString& file) {
  auto* poll = new QTimer(&window);
  auto* quiet = new int(0);
  QObject::connect(poll, &QTimer::timeout, &window, [&window, poll, quiet, file] {
    *quiet = window.isSettled() ? *quiet + 1 : 0;
    if (*quiet * poll->interval() < kSettleMs) {
      return;
    }
    poll->stop();
    delete quiet;
    const bool saved = window.grab().save(file);
    if (!saved) {
      std::fprintf(stderr, "%s could not be written.\n", qPrintable(file));
    }
    QApplication::exit(saved ? 0 : 4);
  });
  poll->start(100);
  QTimer::singleShot(kGiveUpMs, &window, [] {
    std::fprintf(stderr, "The page did not finish reading.\n");
    QApplication::exit(4);
  });
}

QCommandLineParser& options() {
  static QCommandLineParser parser;
  parser.setApplicationDescription(
      QStringLiteral("The window of Batchscope: launch, watch, switch and replay large-batch "
                     "detection trainings."));
  parser.addHelpOption();
  parser.addVersionOption();
  parser.addPositionalArgument(
      QStringLiteral("PATH"),
      QStringLiteral("A run (RUN.bscope or a run folder) to open; several are compared. Or a "
                     "SPEC.toml for the launch dialog."),
      QStringLiteral("[RUN.bscope | RUN_DIR | SPEC.toml]..."));
  parser.addOptions(
      {{QStringLiteral("library"), QStringLiteral("Folder of the runs."), QStringLiteral("DIR")},
       {QStringLiteral("engine"),
        QStringLiteral("The batchscope-engine program."),
        QStringLiteral("FILE")},
       {QStringLiteral("theme"),
        QStringLiteral("Colours of this start: system, light or dark."),
        QStringLiteral("NAME")},
       {QStringLiteral("page"),
        QStringLiteral("Page to show: overview, variance, moments, samples, compare."),
        QStringLiteral("NAME")},
       {QStringLiteral("size"),
        QStringLiteral("Size of the window, as 1440x900."),
        QStringLiteral("WxH")},
       {QStringLiteral("screenshot"),
        QStringLiteral("Save a picture of the window as PNG once everything is read, and quit."),
        QStringLiteral("FILE")}});
  return parser;
}

int refuse(const QString& sentence) {
  std::fprintf(stderr, "batchscope: %s\n", qPrintable(sentence));
  return 2;
}

/// Applies the theme of this start or of the settings; a sentence if there is none of that name.
QString applyTheme(const QCommandLineParser& parser) {
  const QStringList names = {
      QStringLiteral("system"), QStringLiteral("light"), QStringLiteral("dark")};
  qsizetype theme = views::openSettings()->value(QStringLiteral("theme"), 0).toInt();
  if (parser.isSet(QStringLiteral("theme"))) {
    theme = names.indexOf(parser.value(QStringLiteral("theme")));
  }
  if (theme < 0 || theme >= names.size()) {
    return QStringLiteral("--theme is one of %1.").arg(names.join(QStringLiteral(", ")));
  }
  views::Theme::instance().apply(static_cast<views::ThemeMode>(theme));
  return {};
}

/// Opens what the command line names; a sentence about the first that cannot be.
QString openPaths(views::MainWindow& window, const QStringList& paths) {
  for (const QString& path : paths) {
    if (!QFileInfo::exists(path)) {
      return QStringLiteral("%1 does not exist; expected a run folder, a .bscope file or a spec.")
          .arg(path);
    }
    if (path.endsWith(QLatin1String(".toml"))) {
      window.openSpec(path);
    } else if (paths.size() == 1) {
      window.openRun(path);
    } else {
      window.addToCompare(path);
    }
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  QApplication app(argc, argv);
  QApplication::setApplicationName(QStringLiteral("batchscope"));
  QApplication::setApplicationVersion(QStringLiteral(BATCHSCOPE_VERSION));
  QCommandLineParser& parser = options();
  parser.process(app);
  if (const QString fault = applyTheme(parser); !fault.isEmpty()) {
    return refuse(fault);
  }
  views::WindowOptions where;
  where.library = parser.value(QStringLiteral("library"));
  where.enginePath = parser.value(QStringLiteral("engine"));
  where.reattach = !parser.isSet(QStringLiteral("screenshot"));
  views::MainWindow window(where);
  const QStringList size = parser.value(QStringLiteral("size")).split(QLatin1Char('x'));
  if (size.size() == 2 && size[0].toInt() > 0 && size[1].toInt() > 0) {
    window.resize(size[0].toInt(), size[1].toInt());
  }
  if (const QString fault = openPaths(window, parser.positionalArguments()); !fault.isEmpty()) {
    return refuse(fault);
  }
  if (parser.isSet(QStringLiteral("page")) &&
      !window.showPage(parser.value(QStringLiteral("page")))) {
    return refuse(QStringLiteral("--page is one of %1.")
                      .arg(views::RunView::pageNames().join(QStringLiteral(", "))));
  }
  window.show();
  if (parser.isSet(QStringLiteral("screenshot"))) {
    screenshotWhenSettled(window, parser.value(QStringLiteral("screenshot")));
  }
  return QApplication::exec();
}
