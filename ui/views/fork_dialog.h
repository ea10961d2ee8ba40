#pragma once

#include "ui/session/fork_form.h"
#include "ui/session/launcher.h"
#include "ui/session/run_session.h"

#include <QDialog>

class QCheckBox;
class QComboBox;
class QLabel;
class QLineEdit;
class QPlainTextEdit;
class QPushButton;
class QSpinBox;
class QTableWidget;

namespace batchscope::views {

class Banner;

/// Chooses children of a run: from which step, with which optimizers, over which seeds. The run
/// itself is not changed. GUI thread.
class ForkDialog : public QDialog {
  Q_OBJECT
 public:
  /// Starts at the playhead; one child with the run's settings and one more. `run` must outlive it.
  ForkDialog(session::RunSession* run, session::Launcher* launcher, QWidget* parent = nullptr);

  void setLibrary(const QString& library);
  /// That step of the record, even where the run trains.
  void setStep(std::int64_t step);
  /// "match_update", "target_now" or "rewarmup".
  void setLrMapping(const QString& mapping);
  /// Replaces the children.
  void setChildren(const QList<session::ForkChildRow>& rows);
  QList<session::ForkChildRow> children() const;
  session::LaunchRequest request() const;
  /// Above what was asked for, why the engine refused it; until something is changed.
  void showRefused(const QString& sentence, const QString& words);
  /// Why it cannot start; empty: it can.
  QString fault() const;
  QPushButton* startButton() const { return start_; }
  QTableWidget* table() const { return table_; }

 private:
  QWidget* buildOrigin();
  QWidget* buildChildren();
  QWidget* buildOptions();
  void addChild(const session::ForkChildRow& row);
  void removeChild();
  QString originText() const;
  void refresh();

  session::RunSession* run_;
  session::Launcher* launcher_;
  QString library_;
  QSpinBox* step_;
  QCheckBox *now_, *atOnce_;
  QLabel *origin_, *fault_;
  Banner* refusal_;
  QString refused_;  // the command that was refused
  QTableWidget* table_;
  QLineEdit* seeds_;
  QComboBox *state_, *mapping_;
  QPlainTextEdit* command_;
  QPushButton* start_ = nullptr;
};

}  // namespace batchscope::views
