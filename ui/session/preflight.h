#pragma once

#include "engine/contract/run_spec.h"
#include "ui/session/start_trial.h"

#include <QList>
#include <QString>

#include <cstdint>
#include <optional>

namespace batchscope::session {

/// One line of the list that is shown before a start.
struct PreflightItem {
  /// kChecking: is being looked at. kComing: prevents a start, and passes by itself.
  enum class Level { kOk, kWarning, kChecking, kComing, kError };
  QString
      id;  // "spec", "engine", "data", "model", "weights", "disk", "cores", "batch", "device", …
  Level level = Level::kOk;
  QString title;  // "Data files"
  QString text;   // what was found, and what to do
  QString field;  // the spec's key at fault, or empty
};

/// What the checks look at besides the spec. Absent members are measured on this machine.
struct PreflightContext {
  QString library;     // where the run will be written
  QString enginePath;  // empty: not found
  /// Why it is not there, if more is known; and that it will be without anybody's help.
  QString engineFault;
  bool engineComing = false;
  QString device;  // "", "cpu", "cuda"
  /// Why what stands in the form is no spec; empty: it is the spec.
  QString inputFault, inputField;
  /// What the engine says of the spec; nothing yet: `trialRuns` tells whether it will.
  std::optional<TrialResult> trial;
  bool trialRuns = false;
  std::optional<int> cores;
  std::optional<std::int64_t> freeBytes;
  std::optional<bool> cudaDevice;
};

/// What a key of a spec names: a file, a folder (of this kind of data), or neither.
enum class PathKind { kNone, kFile, kFolder };
PathKind pathKind(const QString& key, const std::string& dataKind);

/// Checks a spec against this machine, and says what the engine found of it. Reads no pictures;
/// costs milliseconds. While the input is no spec, only what does not depend on it is said.
QList<PreflightItem> preflight(const contract::RunSpec& spec, const PreflightContext& context);
/// True if nothing prevents a start.
bool canStart(const QList<PreflightItem>& items);
/// The first reason that prevents a start, or an empty text.
QString startFault(const QList<PreflightItem>& items);

}  // namespace batchscope::session
