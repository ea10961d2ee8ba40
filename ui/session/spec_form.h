#pragma once

#include "engine/contract/run_spec.h"

#include <QHash>
#include <QList>
#include <QObject>
#include <QString>
#include <QStringList>

namespace batchscope::session {

/// One key of a spec as a form shows it.
struct SpecField {
  QString key, section, label;  // "optim.lr", "optim", "lr"
  QString type, fallback, range, help;
  QStringList choices;  // of "one of a, b, c"; empty: free
  QString value;        // as a person types it (strings without quotes)
  QString error;        // why the last input was refused, or empty
  bool isDefault = true;
};

/// A RunSpec being edited: every key with its value and its fault. The contract alone decides what
/// is valid. GUI thread.
class SpecForm : public QObject {
  Q_OBJECT

 public:
  explicit SpecForm(QObject* parent = nullptr);

  const contract::RunSpec& spec() const { return spec_; }
  void setSpec(const contract::RunSpec& spec);
  /// Names of the shipped presets.
  static QStringList presets();
  /// What a preset is for: the words at the head of its file.
  static QString presetHelp(const QString& name);
  /// False, with `error()`, if the preset, text or file is not a spec; the form stays as it was.
  bool loadPreset(const QString& name);
  bool loadToml(const QString& text, const QString& folder = {});
  bool loadFile(const QString& path);
  QString toToml() const;
  /// The fault of the last load, with line and column where known.
  QString error() const { return error_; }

  QList<SpecField> fields() const;
  SpecField field(const QString& key) const;
  QStringList sections() const;
  /// Sets a value from text. False if it is refused: the field then keeps text and error, the spec
  /// its old value. Empty text puts the default back.
  bool setValue(const QString& key, const QString& text);
  QString value(const QString& key) const;
  /// Faults of fields and of the whole ("" = whole spec) by key; empty: the spec can be started.
  QHash<QString, QString> errors() const;
  bool isValid() const { return errors().isEmpty(); }

  /// "8 × 16 × 1 = 128" from micro, accumulation and ranks.
  QString effectiveBatchText() const;
  /// "lr 0.05, rule sqrt (128 / 16) = 0.1414": the lr that the rule gives.
  QString learningRateText() const;
  /// "300 steps, 38,400 pictures"; empty if the training set's size is not known.
  QString lengthText() const;

 Q_SIGNALS:
  void changed();
  void fieldChanged(const QString& key);

 private:
  /// Size of the training set where the spec says it, else 0.
  std::int64_t trainPictures() const;

  contract::RunSpec spec_;
  QHash<QString, QString> badText_, badError_;
  QString error_;
};

}  // namespace batchscope::session
