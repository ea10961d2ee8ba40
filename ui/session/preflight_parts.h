#pragma once

#include "ui/session/preflight.h"

#include <QList>

#include <string>

namespace batchscope::session {

// What preflight() is made of.

PreflightItem item(const char* id,
                   PreflightItem::Level level,
                   const QString& title,
                   const QString& text);
/// The first thing that is wrong with a file or folder of the spec, or an empty text.
QString pathFault(const QString& key, const std::string& value, bool folder);
/// Whether the files and folders of the data are there.
PreflightItem checkData(const contract::DataSection& data);
/// Adds the model, and puts into the lines of data, model and weights what the engine found.
void addTrial(QList<PreflightItem>& items,
              const contract::RunSpec& spec,
              const PreflightContext& context);

}  // namespace batchscope::session
