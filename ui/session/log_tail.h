#pragma once

#include <QByteArray>
#include <QString>

#include <optional>

namespace batchscope::session {

/// Reads the end of a text file that another process writes, and what comes to it. Terminal colours
/// are taken out, and of a line that was written over (by a carriage return) the last state is
/// left.
class LogTail {
 public:
  static constexpr int kMostLines = 2000;

  struct News {
    bool restarted = false;  // forget what was read before: another file, or the first read
    QString text;            // whole lines, or the beginning of one that has paused
  };

  explicit LogTail(const QString& path) : path_(path) {}
  QString path() const { return path_; }
  /// What is new since the last call: at first the last lines; nothing if nothing is, or if there
  /// is no such plain file. Reads at most 1 MiB.
  std::optional<News> read();

 private:
  QString take(QByteArray bytes);

  QString path_;
  QByteArray pending_;  // a line without its end
  qint64 offset_ = 0;
  quint64 inode_ = 0;  // 0: nothing was read yet
};

}  // namespace batchscope::session
