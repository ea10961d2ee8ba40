#include "ui/session/fork_form.h"

#include "engine/contract/error.h"
#include "engine/contract/run_spec.h"

#include <QCoreApplication>
#include <QRegularExpression>

namespace batchscope::session {

namespace {

/// At the commas outside brackets and quotes, as the engine splits them.
QStringList partsOf(const QString& text) {
  QStringList parts;
  QString part;
  int depth = 0;
  bool quoted = false;
  for (const auto c : text + QLatin1Char(',')) {
    quoted = quoted != (c == QLatin1Char('"'));
    depth += quoted ? 0 : (c == QLatin1Char('[')) - (c == QLatin1Char(']'));
    if (c == QLatin1Char(',') && depth == 0 && !quoted) {
      if (!part.trimmed().isEmpty())
        parts.append(part.trimmed());
      part.clear();
    } else {
      part += c;
    }
  }
  return parts;
}

QStringList settingsOf(const ForkChildRow& row) {
  QStringList settings;
  const auto add = [&settings](const char* key, const QString& value) {
    if (!value.trimmed().isEmpty())
      settings.append(QLatin1String(key) + QLatin1Char('=') + value.trimmed());
  };
  add("optim.name", row.optimizer);
  if (!row.agvm.isEmpty())
    add("optim.agvm.enabled",
        row.agvm == QLatin1String("on") ? QStringLiteral("true") : QStringLiteral("false"));
  add("optim.lr", row.lr);
  add("optim.clip_norm", row.clipNorm);
  return settings + partsOf(row.more);
}

}  // namespace

QString childText(const ForkChildRow& row) {
  return settingsOf(row).join(QLatin1Char(','));
}

QStringList seedList(const QString& text) {
  static const QRegularExpression apart(QStringLiteral("[,\\s]+"));
  return text.split(apart, Qt::SkipEmptyParts);
}

QString forkFault(const QString& specToml, const QList<ForkChildRow>& rows, const QString& seeds) {
  const auto tr = [](const char* text) {
    return QCoreApplication::translate("batchscope::session", text);
  };
  if (rows.isEmpty())
    return tr("A fork needs a child.");
  for (const auto& seed : seedList(seeds)) {
    bool ok = false;
    if (seed.toLongLong(&ok) < 0 || !ok)
      return tr("A seed is a whole number from 0 on, found “%1”.").arg(seed);
  }
  try {
    const auto parent = contract::parse_spec(specToml.toStdString());
    for (const auto& row : rows) {
      auto spec = parent;
      for (const auto& setting : settingsOf(row)) {
        const auto key = setting.section(QLatin1Char('='), 0, 0).trimmed();
        if (!setting.contains(QLatin1Char('=')))
          return tr("A setting is key=value, found “%1”.").arg(setting);
        if (!key.startsWith(QLatin1String("optim.")) &&
            key != QLatin1String("batch.accumulation") && key != QLatin1String("schedule.steps"))
          return tr("%1 cannot change in a fork: only the optimizer, batch.accumulation and "
                    "schedule.steps can.")
              .arg(key);
        contract::set_value(
            spec, key.toStdString(), setting.section(QLatin1Char('='), 1).trimmed().toStdString());
      }
      contract::validate(spec);
    }
  } catch (const std::exception& error) {
    return QString::fromUtf8(error.what());
  }
  return {};
}

}  // namespace batchscope::session
