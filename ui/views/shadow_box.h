#pragma once

#include "engine/contract/messages.h"

#include <QGroupBox>
#include <QStringList>

class QComboBox;
class QLabel;
class QLineEdit;
class QListWidget;
class QPushButton;

namespace batchscope::views {

/// The shadow optimizers of a running training: those in force, and a line that adds one. GUI
/// thread.
class ShadowBox : public QGroupBox {
  Q_OBJECT
 public:
  explicit ShadowBox(QWidget* parent = nullptr);
  /// What is in force; `can`: commands may be sent now.
  void setShadows(const QStringList& labels, bool can);
  /// Marks the field that a refusal names; empty: none.
  void setFault(const QString& field);
  /// The command was carried out: the fields are for the next one.
  void clearInput();

 Q_SIGNALS:
  void wanted(const batchscope::contract::ShadowCommand& command);

 private:
  void add();
  void remove();
  void enable();

  QListWidget* list_;
  QLabel* none_;
  QComboBox* method_;
  QLineEdit *label_, *lr_;
  QPushButton *add_, *remove_;
  bool can_ = false;
};

}  // namespace batchscope::views
