#pragma once

#include "engine/contract/run_spec.h"

#include <QList>
#include <QString>

#include <cstdint>
#include <optional>

namespace batchscope::session {

/// One line of the list that is shown before a start.
struct PreflightItem {
  enum class Level { kOk, kWarning, kError };
  QString id;  // "spec", "engine", "data", "weights", "disk", "cores", "batch", "device", "shadows"
  Level level = Level::kOk;
  QString title;  // "Data files"
  QString text;   // what was found, and what to do
  QString field;  // the spec's key at fault, or empty
};

/// What the checks look at besides the spec. Absent members are measured on this machine.
struct PreflightContext {
  QString library;     // where the run will be written
  QString enginePath;  // empty: not found
  QString device;      // "", "cpu", "cuda"
  std::optional<int> cores;
  std::optional<std::int64_t> freeBytes;
  std::optional<bool> cudaDevice;
};

/// Checks a spec against this machine. Reads no pictures; costs milliseconds.
QList<PreflightItem> preflight(const contract::RunSpec& spec, const PreflightContext& context);
/// True if no item is an error.
bool canStart(const QList<PreflightItem>& items);

}  // namespace batchscope::session
