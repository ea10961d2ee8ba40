#pragma once

#include "ui/session/launcher.h"
#include "ui/session/preflight.h"
#include "ui/session/spec_form.h"

#include <QDialog>
#include <QTimer>

class QComboBox;
class QLabel;
class QPlainTextEdit;
class QPushButton;
class QTabWidget;
class QVBoxLayout;

namespace batchscope::views {

class Banner;
class SpecFormView;

/// Chooses what to train: presets, the main keys as a form, every key, or TOML text; beside it the
/// effective batch as a formula and the checks before a start. GUI thread.
class LaunchDialog : public QDialog {
  Q_OBJECT
 public:
  /// `enginePath` empty: no engine was found; viewing works, Start does not.
  LaunchDialog(const QString& library, const QString& enginePath, QWidget* parent = nullptr);

  /// Takes the engine, or why there is none, from `launcher`, now and whenever it changes. What was
  /// typed stays.
  void follow(const session::Launcher* launcher);
  session::SpecForm* form() const { return form_; }
  SpecFormView* mainForm() const { return main_; }
  QPlainTextEdit* tomlEdit() const { return toml_; }
  QPushButton* startButton() const { return start_; }
  /// False, with the fault shown, if the file is not a spec.
  bool loadFile(const QString& path);
  bool loadToml(const QString& toml);
  bool loadPreset(const QString& name);
  /// What was asked for and refused comes back, with the engine's sentence above it.
  void showRefused(const session::LaunchRequest& request,
                   const QString& sentence,
                   const QString& words);
  /// "New from this run": its spec, and where that lies.
  void loadRun(const QString& specToml, const QString& folder);
  /// What Start would run.
  session::LaunchRequest request() const;
  /// The formula of the effective batch as it is shown.
  QString formulaText() const;
  QList<session::PreflightItem> checks() const { return checks_; }

 private:
  QWidget* buildTop();
  QWidget* buildForms();
  QWidget* buildTabs();
  QWidget* buildSide();
  QWidget* buildButtons();
  void refresh();
  void showNumbers();
  void runChecks();
  /// What of the input is no spec, and its key: beside it the spec is that of before.
  std::pair<QString, QString> inputFault() const;
  void askEngine();
  void addTrial(session::PreflightContext& context);
  void fillChecks();
  void showStartFault();
  void tomlEdited();
  void showTomlFault(const QString& fault);
  void copyCommand();
  void saveSpec();
  void tell(const QString& note);
  void setDevice(const QString& device);

  QString base_;  // preset or file that the form was filled from
  QString library_, enginePath_, engineFault_;
  bool engineComing_ = false;
  session::SpecForm* form_;
  SpecFormView *main_, *all_;
  Banner* refusal_;
  QTabWidget* tabs_;
  QComboBox *preset_, *device_;
  QPlainTextEdit* toml_;
  QLabel *tomlFault_, *formula_, *rate_, *length_, *whole_, *note_, *presetHelp_, *help_;
  QVBoxLayout* checkColumn_;
  QPushButton* start_;
  session::StartTrial trial_;
  QTimer checkTimer_, trialTimer_;
  QList<session::PreflightItem> checks_;
  QList<QLabel*> checkTexts_;  // of each
  bool fromToml_ = false;
};

}  // namespace batchscope::views
