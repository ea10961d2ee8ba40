#pragma once

#include <QByteArray>
#include <QString>
#include <QStringList>

#include <optional>

namespace batchscope::session {

/// What the set-up script says of the engine's build in `engine-build.json`: one JSON object,
/// replaced as a whole at every change.
struct EngineBuildReport {
  enum class State {
    kWaiting,      // for another set-up
    kPackages,     // of the system
    kFetching,     // LibTorch; done and total are MB
    kConfiguring,  //
    kBuilding,     // done and total are steps
    kReady,
    kFailed,
    kStopped
  };
  State state = State::kWaiting;
  qint64 done = 0, total = 0;  // 0 of 0: unknown; done <= total
  QString message;             // one line; why it failed or was stopped
  QString log;                 // absolute, or empty
  qint64 pid = 0;              // the writer's
  QString pidStart, boot;      // as storage/run_status names a process
  QStringList again;           // a program (absolute) and its words; empty: cannot be started again

  bool isLive() const { return state < State::kReady; }
  /// The process that wrote this still lives.
  bool writerLives() const;
  bool operator==(const EngineBuildReport&) const = default;
};

/// Nothing if the bytes are not such an object: unreadable, half written, of other types. A log or
/// a program to start that is not absolute is left out.
std::optional<EngineBuildReport> parseEngineBuild(const QByteArray& json);
/// Reads a file of at most 64 KiB; nothing if it is larger, no plain file, or not such an object.
std::optional<EngineBuildReport> readEngineBuild(const QString& path);

}  // namespace batchscope::session
