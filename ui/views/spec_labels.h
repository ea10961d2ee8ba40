#pragma once

#include <QString>

namespace batchscope::views {

/// "Optimizer" for the keys of [optim].
QString sectionTitle(const QString& section);
/// What a person calls a key: "Learning rate" for optim.lr; of a rare one its own words.
QString labelOfKey(const QString& key);

}  // namespace batchscope::views
