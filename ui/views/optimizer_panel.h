#pragma once

#include "ui/session/run_session.h"
#include "ui/session/spec_form.h"

#include <QHash>
#include <QPointer>
#include <QScrollArea>

class QCheckBox;
class QComboBox;
class QFormLayout;
class QLabel;
class QLineEdit;
class QPushButton;
class QTableView;

namespace batchscope::views {

class PreviewDialog;
class ShadowBox;

/// Switches the optimizer of a running training: what is in force, what is asked for, pending,
/// "applied at step N" or the refusal at its field; undo; learning rate × ½ and × 2. Buttons follow
/// the engine's state only: a command shows as done when the engine says so. GUI thread.
class OptimizerPanel : public QScrollArea {
  Q_OBJECT
 public:
  explicit OptimizerPanel(QWidget* parent = nullptr);
  void setRun(session::RunSession* run);
  /// Fills the form as if a person had chosen the method.
  void chooseMethod(const QString& name);
  /// The command that Apply sends, from the form.
  contract::OptimizerCommand command() const;
  /// What the line above Apply says: the change, or why there is none.
  QString changeText() const;
  /// State line of the last command: "Pending…", "Applied at step 412", "Preview only…", "Refused:
  /// …".
  QString stateText() const;
  QPushButton* applyButton() const { return apply_; }
  QPushButton* undoButton() const { return undo_; }
  QCheckBox* agvmBox() const { return agvm_; }
  QComboBox* methodBox() const { return method_; }

 public Q_SLOTS:
  void apply();
  void preview();
  /// Asks first.
  void undo();
  /// New base learning rate = factor × the one in force.
  void scaleLr(double factor);
  void setLr();

 Q_SIGNALS:
  void message(const QString& text);

 private:
  void build();
  QWidget* buildNow();
  QWidget* buildChoices(QWidget* group);
  QWidget* buildForm();
  void connectForm();
  QWidget* buildLr();
  QWidget* buildLog();
  /// The settings in force: those of the spec, and what the events made of them.
  void followSpec();
  void showParameters();
  void addParameter(const QString& key);
  void setInput(QWidget* input, const QString& text);
  static QString inputText(const QWidget* input);
  /// Labels of the shadows in force: those of the spec, and what the events made of them.
  QStringList shadows() const;
  void refresh();
  /// Card and rates; the playhead moves them often.
  void showNow();
  void showLog();
  void showDetail(qint64 id);
  /// What the form starts from: of now where it can be changed, else of the playhead.
  session::StatusItem formStatus() const;
  bool differs() const;
  bool busy() const;

  QPointer<session::RunSession> run_;
  session::SpecForm spec_;
  QString specText_;  // what spec_ was made of
  QLabel *inForce_, *now_, *nowFacts_, *change_, *state_, *control_, *undoText_, *lrNow_;
  QComboBox *method_, *policy_, *mapping_, *decay_;
  QCheckBox *agvm_, *all_;
  ShadowBox* shadows_;
  QLineEdit *lr_, *newLr_;
  QFormLayout* parameters_;
  QWidget* parameterBox_;
  QHash<QString, QWidget*> inputs_;  // line edits, and combo boxes for words
  QPushButton *apply_, *preview_, *undo_, *half_, *twice_, *setLr_;
  QTableView* log_;
  bool touched_ = false;
  QPointer<PreviewDialog> previewDialog_;
  qint64 previewId_ = -1, shadowId_ = -1;
};

}  // namespace batchscope::views
