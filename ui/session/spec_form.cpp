#include "ui/session/spec_form.h"

#include "engine/contract/error.h"
#include "ui/session/view_data.h"

#include <QFile>

#include <algorithm>

namespace batchscope::session {

namespace {

const QString kWhole;  // errors(): the key of faults of the whole spec

QString fromText(const std::string& text) {
  return QString::fromStdString(text);
}

QString faultOf(const contract::SpecError& error) {
  return fromText(error.what());
}

/// The alternatives of "one of a, b, c".
QStringList choicesOf(const contract::KeyInfo& info) {
  const auto range = fromText(info.range);
  const auto prefix = QStringLiteral("one of ");
  if (info.type == "boolean")
    return {QStringLiteral("false"), QStringLiteral("true")};
  if (!range.startsWith(prefix))
    return {};
  QStringList choices;
  for (const auto& word : range.mid(prefix.size()).split(QLatin1Char(',')))
    choices.append(word.trimmed().remove(QLatin1Char('"')));
  return choices;
}

/// Canonical TOML notation as a person types it: strings without their quotes.
QString plainValue(const QString& toml) {
  if (toml.size() < 2 || !toml.startsWith(QLatin1Char('"')) || !toml.endsWith(QLatin1Char('"')))
    return toml;
  auto text = toml.mid(1, toml.size() - 2);
  return text.replace(QStringLiteral("\\\""), QStringLiteral("\""))
      .replace(QStringLiteral("\\\\"), QStringLiteral("\\"));
}

const std::vector<contract::KeyInfo>& keys() {
  static const auto all = contract::schema();
  return all;
}

const contract::KeyInfo* keyInfo(const QString& key) {
  const auto wanted = key.toStdString();
  for (const auto& info : keys())
    if (info.key == wanted)
      return &info;
  return nullptr;
}

}  // namespace

SpecForm::SpecForm(QObject* parent) : QObject(parent) {}

void SpecForm::setSpec(const contract::RunSpec& spec) {
  spec_ = spec;
  badText_.clear();
  badError_.clear();
  error_.clear();
  Q_EMIT changed();
}

QStringList SpecForm::presets() {
  QStringList names;
  for (const auto& name : contract::preset_names())
    names.append(fromText(name));
  return names;
}

QString SpecForm::presetHelp(const QString& name) {
  QStringList words;
  try {
    for (const auto& line :
         fromText(contract::preset_toml(name.toStdString())).split(QLatin1Char('\n'))) {
      if (!line.startsWith(QLatin1Char('#')))
        break;
      words.append(line.mid(1).trimmed());
    }
  } catch (const contract::SpecError&) {
    return {};
  }
  return words.join(QLatin1Char(' '));
}

bool SpecForm::loadPreset(const QString& name) {
  try {
    setSpec(
        contract::parse_spec(contract::preset_toml(name.toStdString()), "", name.toStdString()));
    return true;
  } catch (const contract::SpecError& error) {
    error_ = faultOf(error);
    return false;
  }
}

bool SpecForm::loadToml(const QString& text, const QString& folder) {
  try {
    setSpec(contract::parse_spec(text.toStdString(), QFile::encodeName(folder).toStdString()));
    return true;
  } catch (const contract::SpecError& error) {
    error_ = faultOf(error);
    return false;
  }
}

bool SpecForm::loadFile(const QString& path) {
  try {
    setSpec(contract::load_spec(QFile::encodeName(path).toStdString()));
    return true;
  } catch (const contract::Error& error) {
    error_ = fromText(error.what());
    return false;
  }
}

QString SpecForm::toToml() const {
  return fromText(contract::to_toml(spec_));
}

SpecField SpecForm::field(const QString& key) const {
  SpecField field;
  field.key = key;
  field.section = key.section(QLatin1Char('.'), 0, 0);
  field.label = key.section(QLatin1Char('.'), 1).replace(QLatin1Char('_'), QLatin1Char(' '));
  const auto* info = keyInfo(key);
  if (!info) {
    field.error = QStringLiteral("%1 is no key of a spec").arg(key);
    return field;
  }
  field.type = fromText(info->type);
  field.fallback = fromText(info->fallback);
  field.range = fromText(info->range);
  field.help = fromText(info->help);
  field.choices = choicesOf(*info);
  field.value = value(key);
  field.isDefault =
      contract::get_value(spec_, info->key) == contract::get_value(contract::RunSpec{}, info->key);
  if (badText_.contains(key)) {
    field.value = badText_[key];
    field.error = badError_[key];
    field.isDefault = false;
  }
  return field;
}

QList<SpecField> SpecForm::fields() const {
  QList<SpecField> all;
  for (const auto& info : keys())
    all.append(field(fromText(info.key)));
  return all;
}

QStringList SpecForm::sections() const {
  QStringList names;
  for (const auto& info : keys()) {
    const auto section = fromText(info.key).section(QLatin1Char('.'), 0, 0);
    if (!names.contains(section))
      names.append(section);
  }
  return names;
}

QString SpecForm::value(const QString& key) const {
  try {
    return plainValue(fromText(contract::get_value(spec_, key.toStdString())));
  } catch (const contract::SpecError&) {
    return {};
  }
}

bool SpecForm::setValue(const QString& key, const QString& text) {
  auto next = spec_;
  try {
    const auto name = key.toStdString();
    const auto input = text.trimmed();
    // An empty field means the default; set_value takes "" for an absent optional.
    const auto wanted = input.isEmpty()
                            ? plainValue(fromText(contract::get_value(contract::RunSpec{}, name)))
                            : input;
    contract::set_value(next, name, wanted.toStdString());
  } catch (const contract::SpecError& error) {
    badText_[key] = text;
    badError_[key] = faultOf(error);
    Q_EMIT fieldChanged(key);
    Q_EMIT changed();
    return false;
  }
  spec_ = next;
  badText_.remove(key);
  badError_.remove(key);
  Q_EMIT fieldChanged(key);
  Q_EMIT changed();
  return true;
}

QHash<QString, QString> SpecForm::errors() const {
  auto all = badError_;
  try {
    contract::validate(spec_);
  } catch (const contract::SpecError& error) {
    const auto key = error.field().empty() ? kWhole : fromText(error.field());
    if (!all.contains(key))
      all.insert(key, faultOf(error));
  }
  return all;
}

QString SpecForm::effectiveBatchText() const {
  return session::effectiveBatchText(
      spec_.batch.micro, spec_.batch.accumulation, spec_.batch.ranks);
}

QString SpecForm::learningRateText() const {
  const auto batch = spec_.batch.effective();
  const auto base = spec_.optim.base_batch;
  const auto number = [](double value) { return QString::number(value, 'g', 4); };
  try {
    const auto plan = contract::resolve(spec_, std::max<std::int64_t>(1, trainPictures()));
    if (spec_.optim.lr_rule == "none")
      return QStringLiteral("lr %1").arg(number(plan.lr));
    return QStringLiteral("lr %1, rule %2 (%3 / %4) = %5")
        .arg(number(spec_.optim.lr), fromText(spec_.optim.lr_rule))
        .arg(batch)
        .arg(base)
        .arg(number(plan.lr));
  } catch (const std::exception&) {
    return {};
  }
}

std::int64_t SpecForm::trainPictures() const {
  return spec_.data.kind == "synthetic-shapes" ? spec_.data.train_pictures
                                               : spec_.data.max_pictures;
}

QString SpecForm::lengthText() const {
  const bool inEpochs = spec_.schedule.epochs.has_value();
  if (inEpochs && trainPictures() <= 0)
    return QStringLiteral("%1 epochs").arg(*spec_.schedule.epochs);
  try {
    const auto plan = contract::resolve(spec_, std::max<std::int64_t>(1, trainPictures()));
    return QStringLiteral("%1 steps, %2 pictures").arg(plan.steps).arg(plan.total_images);
  } catch (const std::exception&) {
    return {};
  }
}

}  // namespace batchscope::session
