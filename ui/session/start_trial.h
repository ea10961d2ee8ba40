#pragma once

#include "engine/contract/run_spec.h"

#include <QObject>
#include <QProcess>
#include <QString>
#include <QStringList>
#include <QTemporaryDir>

#include <cstdint>
#include <memory>
#include <optional>

namespace batchscope::session {

/// What the engine found when it did what a start does, as far as the first update.
struct TrialResult {
  bool answered = false;  // else `error` says why it gave no answer
  bool ok = false;        // it would start
  QString error, field;   // why not: its own sentence, and the spec's key at fault if there is one
  std::int64_t pictures = 0, things = 0, stuff = 0, parameters = 0;
  std::int64_t valPictures = -1;  // -1: there is no validation set
  QString weights;                // what was taken from the file; empty: none is named
  QStringList warnings;
};

/// What `spec check --deep --json` printed; nothing: that is no answer.
std::optional<TrialResult> readTrial(const QByteArray& json);

/// Asks the engine whether a spec would start (`spec check --deep`), in a process beside the
/// window. GUI thread.
class StartTrial : public QObject {
  Q_OBJECT

 public:
  explicit StartTrial(QObject* parent = nullptr);
  ~StartTrial() override;

  /// Asks, unless that was asked last; what was asked before is dropped.
  void ask(const QString& engine, const contract::RunSpec& spec, const QString& device);
  /// True if that was asked last.
  bool asked(const QString& engine, const contract::RunSpec& spec, const QString& device) const;
  /// Drops question and answer.
  void clear();
  const std::optional<TrialResult>& result() const { return result_; }

 Q_SIGNALS:
  void finished();

 private:
  struct Question {
    QString engine, device;
    contract::RunSpec spec;
    bool operator==(const Question&) const = default;
  };
  void start();
  void drop();
  void take();

  std::optional<Question> question_;
  std::optional<TrialResult> result_;
  std::unique_ptr<QTemporaryDir> folder_;
  QProcess* process_ = nullptr;
};

}  // namespace batchscope::session
