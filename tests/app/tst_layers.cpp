#include "tests/support/test_program.h"

#include <QDirIterator>
#include <QFile>
#include <QRegularExpression>
#include <QtTest>

// The table of ARCHITECTURE.md: which room may include what. A room is the longest folder that
// contains the file.
namespace {

struct Room {
  QString folder;
  QStringList rooms;    // folders it may include from
  QStringList systems;  // groups of outside headers it may include
};

const QList<Room>& rooms() {
  static const QList<Room> table = [] {
    const auto words = [](const char* text) {
      return QString::fromUtf8(text).split(QLatin1Char(' '), Qt::SkipEmptyParts);
    };
    return QList<Room>{
        {QStringLiteral("engine/contract"), words("engine/contract"), words("json toml")},
        {QStringLiteral("storage"), words("engine/contract storage"), words("json sqlite")},
        {QStringLiteral("models"), words("models"), words("torch cuda json")},
        {QStringLiteral("optim"), words("optim"), words("torch cuda")},
        {QStringLiteral("engine"),
         words("engine/contract engine models optim"),
         words("torch cuda json gloo picture xml")},
        {QStringLiteral("ui/session"),
         words("engine/contract storage ui/session"),
         words("qtcore qtnetwork")},
        {QStringLiteral("ui/views"),
         words("engine/contract ui/session ui/views"),
         words("qtcore qtwidgets qtcharts qtsvg")},
    };
  }();
  return table;
}

QString roomOf(const QString& path) {
  QString best;
  for (const Room& room : rooms()) {
    if (path.startsWith(room.folder + QLatin1Char('/')) && room.folder.size() > best.size()) {
      best = room.folder;
    }
  }
  return best;
}

// The outside group of a header in angle brackets, or an empty string for the standard library,
// POSIX and Linux.
QString systemOf(const QString& header) {
  static const QList<std::pair<QRegularExpression, QString>> groups = {
      {QRegularExpression(QStringLiteral("^(torch|ATen|c10)/")), QStringLiteral("torch")},
      {QRegularExpression(QStringLiteral("^(cuda|nccl|cub/|thrust/)")), QStringLiteral("cuda")},
      {QRegularExpression(QStringLiteral("^gloo/")), QStringLiteral("gloo")},
      {QRegularExpression(QStringLiteral("^nlohmann/")), QStringLiteral("json")},
      {QRegularExpression(QStringLiteral("^toml\\+\\+/")), QStringLiteral("toml")},
      {QRegularExpression(QStringLiteral("^sqlite3")), QStringLiteral("sqlite")},
      {QRegularExpression(QStringLiteral("^(jpeglib|jerror|png|turbojpeg)\\.h$")),
       QStringLiteral("picture")},
      {QRegularExpression(QStringLiteral("^expat\\.h$")), QStringLiteral("xml")},
      {QRegularExpression(QStringLiteral("^CLI/")), QStringLiteral("cli")},
      {QRegularExpression(QStringLiteral("^(QtCharts/"
                                         "|QChart|QLineSeries|QXYSeries|QScatterSeries|QAreaSeries|"
                                         "QValueAxis|QAbstractAxis|QLegend)")),
       QStringLiteral("qtcharts")},
      {QRegularExpression(QStringLiteral("^QSvg")), QStringLiteral("qtsvg")},
      {QRegularExpression(QStringLiteral("^(QtNetwork|QLocalServer|QLocalSocket|QTcp|QNetwork)")),
       QStringLiteral("qtnetwork")},
      {QRegularExpression(
           QStringLiteral("^(QApplication|Q.*Widget|Q.*Dialog|QMainWindow|Q.*Layout|QPainter|"
                          "QPixmap|QImage|QIcon|QPalette|QColor|QFont|QAction|QMenu|"
                          "Q.*Button|QLabel|QComboBox|Q.*SpinBox|QSlider|Q.*View$|QStyle|QGui|"
                          "QClipboard|QScreen|QWindow|QShortcut|QSplitter|QToolBar|QStatusBar)")),
       QStringLiteral("qtwidgets")},
      {QRegularExpression(QStringLiteral("^Q")), QStringLiteral("qtcore")},
  };
  for (const auto& [pattern, group] : groups) {
    if (pattern.match(header).hasMatch()) {
      return group;
    }
  }
  return {};
}

// What is wrong with one include line of a file, or an empty string.
QString violation(const QString& file, const QString& header, bool own) {
  const QString name = roomOf(file);
  for (const Room& room : rooms()) {
    if (room.folder != name) {
      continue;
    }
    if (own) {
      const QString target = roomOf(header);
      const bool fine = !target.isEmpty() ? room.rooms.contains(target)
                                          : !header.startsWith(QStringLiteral("app/"));
      return fine ? QString() : QStringLiteral("%1 includes \"%2\"").arg(file, header);
    }
    const QString group = systemOf(header);
    return group.isEmpty() || room.systems.contains(group)
               ? QString()
               : QStringLiteral("%1 includes <%2>").arg(file, header);
  }
  return {};
}

}  // namespace

class TestLayers : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void theRuleItself();
  void noRoomBreaksTheTable();
  void sqliteStaysInItsWrapper();
  void jsonAndTomlStayOutOfHeaders();
  void libTorchComesInParts();
};

void TestLayers::theRuleItself() {
  const QString view = QStringLiteral("ui/views/x.cpp");
  QVERIFY(!violation(view, QStringLiteral("storage/run_reader.h"), true).isEmpty());
  QVERIFY(violation(view, QStringLiteral("ui/session/x.h"), true).isEmpty());
  QVERIFY(!violation(QStringLiteral("models/x.h"), QStringLiteral("engine/contract/error.h"), true)
               .isEmpty());
  QVERIFY(
      !violation(QStringLiteral("engine/train/x.cpp"), QStringLiteral("QString"), false).isEmpty());
  QVERIFY(
      !violation(QStringLiteral("engine/contract/x.cpp"), QStringLiteral("torch/torch.h"), false)
           .isEmpty());
  QVERIFY(violation(QStringLiteral("engine/train/x.cpp"), QStringLiteral("torch/torch.h"), false)
              .isEmpty());
  QVERIFY(!violation(QStringLiteral("ui/session/x.h"), QStringLiteral("QWidget"), false).isEmpty());
  QVERIFY(!violation(QStringLiteral("storage/x.h"), QStringLiteral("QString"), false).isEmpty());
}

void TestLayers::noRoomBreaksTheTable() {
  static const QRegularExpression include(
      QStringLiteral("^\\s*#\\s*include\\s*([\"<])([^\">]+)[\">]"));
  const QDir top(QStringLiteral(BATCHSCOPE_SOURCE_DIR));
  QStringList wrong;
  int files = 0;
  for (const char* folder : {"engine", "storage", "models", "optim", "ui"}) {
    QDirIterator walk(top.filePath(QString::fromUtf8(folder)),
                      {QStringLiteral("*.h"),
                       QStringLiteral("*.cpp"),
                       QStringLiteral("*.cu"),
                       QStringLiteral("*.cuh")},
                      QDir::Files,
                      QDirIterator::Subdirectories);
    while (walk.hasNext()) {
      QFile file(walk.next());
      QVERIFY2(file.open(QIODevice::ReadOnly), qPrintable(file.fileName()));
      ++files;
      const QString path = top.relativeFilePath(file.fileName());
      for (const QString& line : QString::fromUtf8(file.readAll()).split(QLatin1Char('\n'))) {
        const auto match = include.match(line);
        if (match.hasMatch()) {
          const QString sentence =
              violation(path, match.captured(2), match.captured(1) == QLatin1String("\""));
          if (!sentence.isEmpty()) {
            wrong.append(sentence);
          }
        }
      }
    }
  }
  QVERIFY(files > 30);
  QVERIFY2(wrong.isEmpty(), qPrintable(wrong.join(QLatin1Char('\n'))));
}

void TestLayers::sqliteStaysInItsWrapper() {
  const QStringList wrapper = {QStringLiteral("sqlite"), QStringLiteral("statement")};
  QDirIterator walk(QStringLiteral(BATCHSCOPE_SOURCE_DIR "/storage"),
                    {QStringLiteral("*.h"), QStringLiteral("*.cpp")},
                    QDir::Files);
  while (walk.hasNext()) {
    QFile file(walk.next());
    QVERIFY(file.open(QIODevice::ReadOnly));
    if (file.readAll().contains("#include <sqlite3.h>")) {
      QVERIFY2(wrapper.contains(QFileInfo(file).baseName()), qPrintable(file.fileName()));
    }
  }
}

void TestLayers::jsonAndTomlStayOutOfHeaders() {
  for (const char* folder : {"engine", "models", "storage", "ui"}) {
    QDirIterator walk(QStringLiteral(BATCHSCOPE_SOURCE_DIR "/") + QString::fromUtf8(folder),
                      {QStringLiteral("*.h")},
                      QDir::Files,
                      QDirIterator::Subdirectories);
    while (walk.hasNext()) {
      QFile file(walk.next());
      QVERIFY(file.open(QIODevice::ReadOnly));
      const QByteArray text = file.readAll();
      const bool internal = file.fileName().endsWith(QStringLiteral("_json.h"));
      QVERIFY2(internal || (!text.contains("#include <nlohmann/json.hpp>") &&
                            !text.contains("#include <toml++/")),
               qPrintable(file.fileName()));
    }
  }
}

// torch/torch.h costs every file seconds; threads that a compiler makes of pragmas or of
// at::parallel_for are serial or of another run time than LibTorch's (cmake/torch/threads.h).
void TestLayers::libTorchComesInParts() {
  static const QRegularExpression forbidden(
      QStringLiteral("#include <(torch/torch|torch/all|omp)\\.h>|\\bat::parallel_for\\(|"
                     "^#pragma omp parallel"),
      QRegularExpression::MultilineOption);
  for (const char* folder : {"engine", "models", "optim", "app", "tests"}) {
    QDirIterator walk(QStringLiteral(BATCHSCOPE_SOURCE_DIR "/") + QString::fromUtf8(folder),
                      {QStringLiteral("*.h"), QStringLiteral("*.cpp")},
                      QDir::Files,
                      QDirIterator::Subdirectories);
    while (walk.hasNext()) {
      QFile file(walk.next());
      if (file.fileName().endsWith(QStringLiteral("tst_layers.cpp"))) {
        continue;
      }
      QVERIFY(file.open(QIODevice::ReadOnly));
      const auto found = forbidden.match(QString::fromUtf8(file.readAll()));
      QVERIFY2(!found.hasMatch(),
               qPrintable(file.fileName() + QStringLiteral(": ") + found.captured()));
    }
  }
}

BATCHSCOPE_TEST(TestLayers)
#include "tst_layers.moc"
