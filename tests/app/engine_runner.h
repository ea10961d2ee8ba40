#pragma once

#include "storage/catalogue.h"
#include "storage/run_reader.h"

#include <QDir>
#include <QFile>
#include <QProcess>
#include <QTemporaryDir>
#include <QtTest>

#include <csignal>
#include <memory>

namespace batchscope {

inline constexpr int kPatience = 60000;  // ms; a machine may be busy

inline QString engine() {
  return QString::fromLatin1(BATCHSCOPE_BIN_DIR) + QStringLiteral("/batchscope-engine");
}

struct Result {
  int code = -1;
  QString out, err;
};

inline Result run_engine(const QStringList& arguments) {
  QProcess process;
  process.start(engine(), arguments);
  Result result;
  if (process.waitForFinished(kPatience)) {
    result.code = process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1;
  } else {
    process.kill();
    process.waitForFinished();
  }
  result.out = QString::fromUtf8(process.readAllStandardOutput());
  result.err = QString::fromUtf8(process.readAllStandardError());
  return result;
}

/// True when no such process runs; one that waits to be reaped does not.
inline bool gone(qint64 pid) {
  QFile stat(QStringLiteral("/proc/%1/stat").arg(pid));
  if (!stat.open(QIODevice::ReadOnly)) {
    return true;
  }
  const QByteArray text = stat.readAll();
  return text.mid(text.lastIndexOf(')') + 2, 1) == "Z";
}

inline QList<qint64> children_of(qint64 parent) {
  QList<qint64> children;
  if (parent <= 0) {  // it has ended: the system's own processes have the parent 0
    return children;
  }
  for (const QString& entry : QDir(QStringLiteral("/proc")).entryList(QDir::Dirs)) {
    QFile stat(QStringLiteral("/proc/%1/stat").arg(entry));
    if (entry.toLongLong() > 0 && stat.open(QIODevice::ReadOnly)) {
      const QByteArray text = stat.readAll();
      const QList<QByteArray> fields = text.mid(text.lastIndexOf(')') + 2).split(' ');
      if (fields.size() > 1 && fields[1].toLongLong() == parent) {
        children << entry.toLongLong();
      }
    }
  }
  return children;
}

/// A training of the real engine, in a library of its own.
class Training {
 public:
  explicit Training(const QStringList& settings,
                    const QStringList& start = {QStringLiteral("demo")})
      : Training(std::make_shared<QTemporaryDir>(), settings, start) {}
  Training(std::shared_ptr<QTemporaryDir> library,
           const QStringList& settings,
           const QStringList& start)
      : library_(std::move(library)) {
    QStringList arguments = {QStringLiteral("train")};
    arguments << start << QStringLiteral("--library") << library_->path();
    for (const QString& setting : settings) {
      arguments << QStringLiteral("--set") << setting;
    }
    process.start(engine(), arguments);
    while (!process.canReadLine() && process.waitForReadyRead(kPatience)) {
    }
    const QList<QByteArray> words = process.readLine().trimmed().split(' ');
    if (words.size() == 3 && words[0] == "run") {
      id = QString::fromLatin1(words[1]);
      folder = QString::fromUtf8(words[2]);
    }
  }
  ~Training() {
    process.kill();
    process.waitForFinished();
  }
  const std::shared_ptr<QTemporaryDir>& library() const { return library_; }

  std::filesystem::path path() const { return folder.toStdString(); }
  std::int64_t rows() const {
    try {
      return storage::RunReader(path()).last_seq();
    } catch (const std::exception&) {
      return 0;
    }
  }
  bool reach(std::int64_t count) const {
    return QTest::qWaitFor([&] { return rows() >= count; }, kPatience);
  }
  Result control(const QStringList& words) const {
    return run_engine(QStringList{QStringLiteral("control"), id} + words +
                      QStringList{QStringLiteral("--library"), library_->path()});
  }
  storage::RunSummary summary() const { return storage::summarise(path()); }
  std::vector<contract::EventRecord> events(const std::string& kind) const {
    std::vector<contract::EventRecord> found;
    for (const storage::StoredEvent& event : storage::RunReader(path()).events(0)) {
      if (event.record.kind == kind) {
        found.push_back(event.record);
      }
    }
    return found;
  }
  /// As a terminal's Ctrl-C; false when it runs no more.
  bool interrupt() const {
    const auto pid = static_cast<pid_t>(process.processId());
    return pid > 0 && ::kill(pid, SIGINT) == 0;
  }
  int wait() {
    process.waitForFinished(kPatience);
    return process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1;
  }

  QProcess process;
  QString id, folder;

 private:
  std::shared_ptr<QTemporaryDir> library_;
};

inline QStringList words(const char* text) {
  return QString::fromLatin1(text).split(QLatin1Char(' '), Qt::SkipEmptyParts);
}

}  // namespace batchscope
