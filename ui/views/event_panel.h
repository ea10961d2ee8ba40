#pragma once

#include "ui/session/run_session.h"

#include <QPointer>
#include <QTimer>
#include <QWidget>

class QComboBox;
class QTableView;

namespace batchscope::views {

class LogView;

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

/// The end of a rank's log file. GUI thread.
class LogPanel : public QWidget {
  Q_OBJECT
 public:
  explicit LogPanel(QWidget* parent = nullptr);
  void setRun(session::RunSession* run);
  QString text() const;
  LogView* view() const { return text_; }

 protected:
  void showEvent(QShowEvent* event) override;

 private:
  void listFiles();
  QPointer<session::RunSession> run_;
  QComboBox* file_;
  LogView* text_;
  QTimer timer_;
};

}  // namespace batchscope::views
