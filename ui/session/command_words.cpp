#include "ui/session/command_words.h"

#include "engine/contract/error.h"

#include <QFile>
#include <QRegularExpression>

namespace batchscope::session {

namespace {

const QString kFirstPreset = QStringLiteral("demo");

/// "key=value" texts that make `from` the spec; nothing if some difference is no key.
std::optional<QStringList> setsBetween(contract::RunSpec from, const contract::RunSpec& spec) {
  QStringList sets;
  try {
    for (const auto& difference : contract::diff_specs(from, spec)) {
      const auto value = contract::get_value(spec, difference.key);
      contract::set_value(from, difference.key, value);
      sets.append(QString::fromStdString(difference.key + "=" + value));
    }
  } catch (const contract::SpecError&) {
    return std::nullopt;
  }
  return from == spec ? std::optional(sets) : std::nullopt;
}

}  // namespace

QString quotedForShell(const QString& word) {
  static const QRegularExpression plain(QStringLiteral("^[A-Za-z0-9_@%+=:,./-]+$"));
  if (plain.match(word).hasMatch())
    return word;
  auto text = word;
  return QLatin1Char('\'') + text.replace(QLatin1Char('\''), QLatin1String("'\\''")) +
         QLatin1Char('\'');
}

QStringList trainWords(const contract::RunSpec& spec, const QString& base) {
  for (const auto& name : {base, kFirstPreset}) {
    if (name.isEmpty())
      continue;
    try {
      const auto from = contract::load_spec(QFile::encodeName(name).toStdString());
      const auto sets = setsBetween(from, spec);
      if (!sets)
        continue;
      QStringList words{QStringLiteral("train"), name};
      for (const auto& set : *sets)
        words << QStringLiteral("--set") << set;
      return words;
    } catch (const contract::Error&) {
      continue;  // it was moved or changed meanwhile
    }
  }
  return {};
}

}  // namespace batchscope::session
