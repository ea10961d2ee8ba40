#pragma once

#include "engine/contract/run_spec.h"

#include <QString>
#include <QStringList>

namespace batchscope::session {

/// A word as a POSIX shell takes it.
QString quotedForShell(const QString& word);
/// "train BASE --set key=value …": the words after the engine's name that start a run of this
/// spec. `base`: a preset or a file; empty, or one that can no longer be read: the demo. Nothing
/// if the spec has scripted events or shadow optimizers that the base has not: no --set gives them.
QStringList trainWords(const contract::RunSpec& spec, const QString& base);

}  // namespace batchscope::session
