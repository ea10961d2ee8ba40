#pragma once

#include "tests/support/test_program.h"
#include "tests/ui/views_fixture.h"
#include "ui/views/curve_chart.h"
#include "ui/views/main_window.h"
#include "ui/views/theme.h"
#include "ui/views/widgets.h"

#include <QtTest>
#include <QtWidgets>

namespace batchscope::test {

/// What the user tests share: a home of their own, a library with one training that a test writes,
/// its engine, and the shown window that mouse and keys are sent to.
class UserTest : public QObject {
 protected:
  QTemporaryDir home_;
  QString library_;
  int number_ = 0;

  void makeHome() {
    QVERIFY(home_.isValid());
    QSettings::setPath(
        QSettings::IniFormat, QSettings::UserScope, home_.filePath(QStringLiteral("config")));
    views::Theme::instance().apply(views::ThemeMode::kLight);
    library_ = home_.filePath(QStringLiteral("library"));
  }

  /// A training that goes on, at step `steps` of 400, with the status of an engine.
  std::unique_ptr<SampleRun> liveRun(int steps = 50) {
    auto run = emptyRun("live");
    if (steps > 0) {
      run->rows(1, steps);
    }
    run->status(contract::RunState::kRunning);
    return run;
  }
  std::unique_ptr<SampleRun> emptyRun(const std::string& name, int steps = 400, double lr = 0.05) {
    const auto id = QStringLiteral("%1").arg(++number_, 12, 16, QLatin1Char('0')).toStdString();
    return std::make_unique<SampleRun>(library_.toStdString(), id, name, steps, lr);
  }

  std::unique_ptr<views::MainWindow> showWindow(QSize size = {1500, 1000}) {
    auto window = std::make_unique<views::MainWindow>(views::WindowOptions{library_, {}, false});
    window->resize(size);
    window->show();
    window->activateWindow();
    (void)QTest::qWaitForWindowActive(window.get());
    return window;
  }
  static contract::Reply done(std::int64_t step = 50) {
    contract::Reply reply;
    reply.ok = true;
    reply.step = step;
    return reply;
  }
};

inline void clickOn(QWidget* widget) {
  QTest::mouseClick(widget, Qt::LeftButton, {}, widget->rect().center());
}

/// Keys go where a person's go: to what has the focus.
inline void press(QWidget* window, Qt::Key key, Qt::KeyboardModifiers with = {}) {
  QWidget* focus = window->focusWidget();
  QTest::keyClick(focus != nullptr ? focus : window, key, with);
}

inline views::CurveChart* chartOf(QWidget* parent, const QString& title) {
  for (views::CurveChart* chart : parent->findChildren<views::CurveChart*>()) {
    if (chart->title().startsWith(title)) {
      return chart;
    }
  }
  return nullptr;
}

template <typename Button>
Button* buttonOf(QWidget* parent, const QString& text) {
  for (Button* each : parent->findChildren<Button*>()) {
    if (each->text().remove(QLatin1Char('&')) == text) {
      return each;
    }
  }
  return nullptr;
}

/// Every text that a person reads of the labels under a widget.
inline QStringList textsOf(const QWidget* parent) {
  QStringList texts;
  for (const QLabel* label : parent->findChildren<QLabel*>()) {
    if (label->isVisible() && !label->text().isEmpty()) {
      texts.append(label->text());
    }
  }
  return texts;
}

/// Presses a button of the next message box by its text.
inline void answerNextBox(const QString& button, bool tick = false) {
  auto* timer = new QTimer(qApp);
  QObject::connect(timer, &QTimer::timeout, timer, [timer, button, tick] {
    for (QWidget* widget : QApplication::topLevelWidgets()) {
      auto* box = qobject_cast<QMessageBox*>(widget);
      if (box == nullptr || !box->isVisible()) {
        continue;
      }
      if (tick && box->checkBox() != nullptr) {
        box->checkBox()->setChecked(true);
      }
      for (QAbstractButton* each : box->buttons()) {
        if (each->text().remove(QLatin1Char('&')) == button) {
          timer->deleteLater();
          each->click();
          return;
        }
      }
    }
  });
  timer->start(20);
}

}  // namespace batchscope::test
