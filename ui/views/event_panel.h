#pragma once

#include "ui/session/run_session.h"

#include <QPointer>
#include <QTimer>
#include <QWidget>

class QComboBox;
class QPlainTextEdit;
class QTableView;

namespace batchscope::views {

/// All events up to the playhead; a double click moves the playhead there. GUI thread.
class EventPanel : public QWidget {
  Q_OBJECT
 public:
  explicit EventPanel(QWidget* parent = nullptr);
  void setRun(session::RunSession* run);
  QTableView* view() const { return view_; }

 private:
  void sizeColumns();
  QPointer<session::RunSession> run_;
  QTableView* view_;
  QMetaObject::Connection follow_;
};

/// The end of a rank's log file, read once a second while seen. GUI thread.
class LogPanel : public QWidget {
  Q_OBJECT
 public:
  explicit LogPanel(QWidget* parent = nullptr);
  void setRun(session::RunSession* run);
  QString text() const;

 protected:
  void showEvent(QShowEvent* event) override;

 private:
  void listFiles();
  void read();
  QPointer<session::RunSession> run_;
  QComboBox* file_;
  QPlainTextEdit* text_;
  QTimer timer_;
  QString shown_;
};

}  // namespace batchscope::views
