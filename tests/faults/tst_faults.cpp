#include "storage/lineage.h"
#include "storage/run_check.h"
#include "storage/run_files.h"
#include "tests/app/engine_runner.h"
#include "tests/support/test_program.h"

#include <QDateTime>
#include <QElapsedTimer>
#include <QRandomGenerator>
#include <QScopeGuard>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>

using namespace batchscope;
namespace fs = std::filesystem;

namespace {

constexpr int kSteps = 120;

/// BATCHSCOPE_FAULT_TRIALS: of each kind; the long campaign is run by hand (CONTRIBUTING.md).
int trials(int usual) {
  const int asked = qEnvironmentVariableIntValue("BATCHSCOPE_FAULT_TRIALS");
  return asked > 0 ? asked : usual;
}

QStringList settings(int ranks) {
  return words(
             "batch.micro=4 batch.accumulation=2 data.train_pictures=256 data.val_pictures=8 "
             "eval.probes=0 "
             "eval.at_end=false precision.threads=1 checkpoint.every_steps=10 checkpoint.keep=2 "
             "optim.agvm.enabled=true optim.lr=0.01") +
         QStringList{QStringLiteral("schedule.steps=%1").arg(kSteps),
                     QStringLiteral("batch.ranks=%1").arg(ranks)};
}

/// The tensors of the newest checkpoint, as they lie in the file; the words before them hold times.
QByteArray final_state(const fs::path& folder) {
  QString newest;
  for (const auto& entry : fs::directory_iterator(folder / "checkpoints")) {
    const QString name = QString::fromStdString(entry.path().filename().string());
    if (name.startsWith(QStringLiteral("step-%1").arg(kSteps, 8, 10, QLatin1Char('0')))) {
      newest = QString::fromStdString(entry.path().string());
    }
  }
  QFile file(newest);
  if (!file.open(QIODevice::ReadOnly)) {
    return {};
  }
  const QByteArray bytes = file.readAll();
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.constData(), sizeof header);
  return bytes.mid(static_cast<qsizetype>(sizeof header + header));
}

/// What the run would be if nothing had happened, and how long it would take.
struct Undisturbed {
  QByteArray state;
  qint64 ms = 0;
};
const Undisturbed& undisturbed(int ranks) {
  static std::map<int, Undisturbed> known;
  if (!known.contains(ranks)) {
    QElapsedTimer clock;
    clock.start();
    Training training(settings(ranks));
    training.wait();
    known[ranks] = {final_state(training.path()), clock.elapsed()};
  }
  return known[ranks];
}

void signal_to(const Training& training, int number) {
  const auto pid = static_cast<pid_t>(training.process.processId());
  if (pid > 0) {
    ::kill(pid, number);
  }
}

/// Every step from 1 to the last is on record once, on the line that leads to the end.
QString gaps(const fs::path& folder) {
  storage::RunReader reader(folder);
  const auto spans = storage::lineage(reader.segments());
  storage::RowAxis axis;
  std::vector<int> seen(kSteps + 1, 0);
  reader.read_axis(0, axis);
  for (std::size_t i = 0; i < axis.step.size(); ++i) {
    if (storage::on_lineage(spans, axis.segment[i], axis.step[i]) && axis.step[i] <= kSteps) {
      ++seen[static_cast<std::size_t>(axis.step[i])];
    }
  }
  for (int step = 1; step <= kSteps; ++step) {
    if (seen[static_cast<std::size_t>(step)] != 1) {
      return QStringLiteral("step %1 stands %2 times")
          .arg(step)
          .arg(seen[static_cast<std::size_t>(step)]);
    }
  }
  return {};
}

/// A training whose disk fails: which writes (full_disk.cpp), as numbers in a file.
struct FullDisk {
  explicit FullDisk(const std::array<qint64, 3>& numbers)
      : plan(numbers), library(std::make_shared<QTemporaryDir>()), training(start()) {}

  Training start() const {
    QFile file(beside.filePath(QStringLiteral("plan")));
    if (file.open(QIODevice::WriteOnly)) {
      file.write(reinterpret_cast<const char*>(plan.data()), sizeof plan);
    }
    file.close();
    qputenv("FULL_DISK_PLAN", file.fileName().toUtf8());
    qputenv("FULL_DISK_UNDER", library->path().toUtf8());
    qputenv("LD_PRELOAD", BATCHSCOPE_FULL_DISK);
    const auto clean = qScopeGuard([] { qunsetenv("LD_PRELOAD"); });
    return Training(library, settings(1), {QStringLiteral("demo")});
  }

  std::array<qint64, 3> plan;
  QTemporaryDir beside;
  std::shared_ptr<QTemporaryDir> library;
  Training training;
};

struct Count {
  int trials = 0, finished_before = 0, began_again = 0;
  std::vector<double> missing_ms;
};

/// Goes on with a run until it is done, and compares. A run that ended while its disk was full says
/// what is missing.
QString goes_on_to_the_end(const fs::path& folder, int ranks, bool told_a_gap = false) {
  const Result resumed = run_engine({QStringLiteral("train"),
                                     QStringLiteral("--resume"),
                                     QString::fromStdString(folder.string())});
  if (resumed.code != 0) {
    return QStringLiteral("the resume ended with %1: %2").arg(resumed.code).arg(resumed.err);
  }
  const auto check = storage::check_run(folder);
  if (!check.problems.empty()) {
    return QString::fromStdString(check.problems.front());
  }
  if (final_state(folder) != undisturbed(ranks).state) {
    return QStringLiteral("the final state is another one");
  }
  return told_a_gap ? QString() : gaps(folder);
}

bool wait_until_gone(const QList<qint64>& pids) {
  return QTest::qWaitFor([&] { return std::ranges::all_of(pids, gone); }, kPatience);
}

}  // namespace

/// Kills, stops, full disks and damage at random moments. What is promised: no row that could be
/// read is lost, the record is whole, its status true, nobody is left behind, and what goes on is
/// bit for bit the training that nobody disturbed.
class TestFaults : public QObject {
  Q_OBJECT

 private:
  QRandomGenerator random_{
      static_cast<quint32>(qEnvironmentVariableIntValue("BATCHSCOPE_FAULT_SEED"))};

  void report(const char* kind, const Count& count) {
    std::vector<double> ms = count.missing_ms;
    std::ranges::sort(ms);
    const QString missing =
        ms.empty() ? QStringLiteral("-")
                   : QStringLiteral("median %1, most %2 ms of telemetry missing (upper bounds)")
                         .arg(ms[ms.size() / 2], 0, 'f', 0)
                         .arg(ms.back(), 0, 'f', 0);
    qInfo("%s: %d trials, %d after the end, %d began again; %s",
          kind,
          count.trials,
          count.finished_before,
          count.began_again,
          qPrintable(missing));
  }

  /// The pause before the fault: most of a run's life, its start included.
  void wait_a_while(int ranks) {
    QTest::qWait(random_.bounded(static_cast<int>(undisturbed(ranks).ms)));
  }

 private Q_SLOTS:
  void kills_data() {
    QTest::addColumn<QString>("victim");
    QTest::addColumn<int>("ranks");
    for (const int ranks : {1, 2}) {
      for (const char* victim : {"rank", "supervisor", "all"}) {
        QTest::addRow("%s of %d", victim, ranks) << QString::fromLatin1(victim) << ranks;
      }
    }
  }
  void kills() {
    QFETCH(QString, victim);
    QFETCH(int, ranks);
    Count count;
    for (int i = 0; i < trials(1); ++i) {
      Training training(settings(ranks));
      QVERIFY(!training.id.isEmpty());
      wait_a_while(ranks);
      const qint64 supervisor = training.process.processId();
      const QList<qint64> all = children_of(supervisor);
      const std::int64_t seen = training.rows();
      const double killed_at = static_cast<double>(QDateTime::currentMSecsSinceEpoch());
      QList<qint64> victims = all;
      if (victim == QStringLiteral("rank") && !all.isEmpty()) {
        victims = {all[static_cast<qsizetype>(random_.bounded(static_cast<quint32>(all.size())))]};
      } else if (victim == QStringLiteral("supervisor")) {
        victims = {supervisor};
      } else {
        victims << supervisor;
      }
      for (const qint64 pid : victims) {
        if (pid > 0) {
          ::kill(static_cast<pid_t>(pid), SIGKILL);
        }
      }
      training.wait();
      QVERIFY2(wait_until_gone(all), "a rank was left behind");
      ++count.trials;
      if (!fs::exists(training.path() / storage::kRunFile)) {
        ++count.began_again;  // nothing was trained yet
        if (!fs::exists(training.path() / storage::kSpecFile)) {
          continue;
        }
      } else {
        QVERIFY2(training.rows() >= seen, "a row that could be read is lost");
        // A rank that was just being started ends by itself.
        QVERIFY2(QTest::qWaitFor(
                     [&] { return training.summary().state != contract::RunState::kRunning; },
                     kPatience),
                 "it is said to run");
        const bool finished = training.summary().state == contract::RunState::kFinished;
        count.finished_before += finished ? 1 : 0;
        note_missing(training, killed_at, count);
      }
      const QString wrong = goes_on_to_the_end(training.path(), ranks);
      QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
    }
    report(QTest::currentDataTag(), count);
  }

  /// Training time begins with the event "start": what was trained after the last row is not on
  /// record. (Time in saves does not count as training, so the bound is an upper one.)
  static void note_missing(const Training& training, double killed_at, Count& count) {
    storage::RunReader reader(training.path());
    const auto start = training.events("start");
    storage::RowAxis last;
    if (start.empty() || training.summary().state == contract::RunState::kFinished ||
        reader.read_axis(std::max<std::int64_t>(0, reader.last_seq() - 1), last) == 0) {
      return;
    }
    const QDateTime began =
        QDateTime::fromString(QString::fromStdString(start[0].time), Qt::ISODateWithMs);
    count.missing_ms.push_back(killed_at - static_cast<double>(began.toMSecsSinceEpoch()) -
                               1000 * last.seconds.back());
  }

  void stops_data() {
    QTest::addColumn<int>("signal");
    QTest::addColumn<int>("ranks");
    for (const int ranks : {1, 2}) {
      QTest::addRow("SIGINT of %d", ranks) << SIGINT << ranks;
      QTest::addRow("SIGTERM of %d", ranks) << SIGTERM << ranks;
    }
  }
  void stops() {
    QFETCH(int, signal);
    QFETCH(int, ranks);
    Count count;
    for (int i = 0; i < trials(1); ++i) {
      Training training(settings(ranks));
      wait_a_while(ranks);
      const QList<qint64> all = children_of(training.process.processId());
      signal_to(training, signal);
      const int code = training.wait();
      QVERIFY2(code == 130 || code == 0, qPrintable(QString::number(code)));
      QVERIFY(wait_until_gone(all));
      ++count.trials;
      count.finished_before += code == 0 ? 1 : 0;
      if (!fs::exists(training.path() / storage::kSpecFile)) {
        ++count.began_again;
        continue;
      }
      const QString wrong = goes_on_to_the_end(training.path(), ranks);
      QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
    }
    report(QTest::currentDataTag(), count);
  }

  /// Any write below the library fails, once, for a while, or from then on. The trainings of a
  /// trial run beside each other: they mostly wait for a disk that stays full.
  void fullDisks() {
    Count count;
    for (int i = 0; i < trials(1); ++i) {
      std::vector<std::unique_ptr<FullDisk>> disks;
      for (const qint64 failures : {qint64{1}, qint64{40}, qint64{1} << 62}) {
        disks.push_back(std::make_unique<FullDisk>(
            std::array<qint64, 3>{0, static_cast<qint64>(random_.bounded(400)), failures}));
      }
      for (const auto& disk : disks) {
        const QString wrong = after_a_full_disk(disk->training, count);
        QVERIFY2(wrong.isEmpty(),
                 qPrintable(wrong + QStringLiteral(" (first failing write %1, %2 of them)")
                                        .arg(disk->plan[1])
                                        .arg(disk->plan[2])));
      }
    }
    report("full disks", count);
  }

  static QString after_a_full_disk(Training& training, Count& count) {
    const int code = training.wait();
    ++count.trials;
    if (training.id.isEmpty()) {
      ++count.began_again;
      return code == 4 ? QString() : QStringLiteral("a launch ended with %1").arg(code);
    }
    if (code != 0 && code != 4) {
      return QStringLiteral("the training ended with %1").arg(code);
    }
    if (!fs::exists(training.path() / storage::kSpecFile)) {
      ++count.began_again;
      return {};
    }
    return goes_on_to_the_end(training.path(), 1, code == 4);
  }

  /// The newest checkpoint is damaged: the one before it is gone on from.
  void damagedStates() {
    Count count;
    for (int i = 0; i < trials(1); ++i) {
      Training training(settings(1));
      QVERIFY(training.reach(70));
      signal_to(training, SIGTERM);
      QCOMPARE(training.wait(), 130);
      std::vector<fs::path> states;
      for (const auto& entry : fs::directory_iterator(training.path() / "checkpoints")) {
        states.push_back(entry.path());
      }
      std::ranges::sort(states);
      QVERIFY(states.size() >= 2);
      QFile newest(QString::fromStdString(states.back().string()));
      QVERIFY(newest.open(QIODevice::ReadWrite));
      const qint64 size = newest.size();
      switch (random_.bounded(4)) {
        case 0:
          newest.resize(0);
          break;
        case 1:
          newest.resize(random_.bounded(static_cast<int>(size)));
          break;
        case 2:
          newest.resize(size - 1);
          break;
        default: {
          newest.seek(random_.bounded(static_cast<int>(size)));
          char byte = 0;
          newest.peek(&byte, 1);
          byte = static_cast<char>(byte ^ (1 << random_.bounded(8)));
          newest.write(&byte, 1);
        }
      }
      newest.close();
      ++count.trials;
      const QString wrong = goes_on_to_the_end(training.path(), 1);
      QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
    }
    report("damaged states", count);
  }
};

BATCHSCOPE_TEST(TestFaults)
#include "tst_faults.moc"
