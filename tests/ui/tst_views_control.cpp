#include "tests/support/test_program.h"
#include "tests/ui/views_fixture.h"
#include "ui/session/command_log.h"
#include "ui/session/engine_client.h"
#include "ui/views/launch_dialog.h"
#include "ui/views/optimizer_panel.h"
#include "ui/views/preview_dialog.h"
#include "ui/views/spec_form_view.h"
#include "ui/views/theme.h"
#include "ui/views/widgets.h"

#include <QtTest>
#include <QtWidgets>

using namespace batchscope;
using namespace batchscope::views;

namespace {

contract::Reply done(std::int64_t step) {
  contract::Reply reply;
  reply.ok = true;
  reply.step = step;
  return reply;
}

QLineEdit* edit(QWidget* parent, const QString& name) {
  for (QLineEdit* each : parent->findChildren<QLineEdit*>()) {
    if (each->accessibleName() == name) {
      return each;
    }
  }
  return nullptr;
}

QPushButton* button(QWidget* parent, const QString& text) {
  for (QPushButton* each : parent->findChildren<QPushButton*>()) {
    if (each->text().remove(QLatin1Char('&')) == text) {
      return each;
    }
  }
  return nullptr;
}

void check(QWidget* parent, const QString& text) {
  for (QCheckBox* each : parent->findChildren<QCheckBox*>()) {
    if (each->text().remove(QLatin1Char('&')) == text) {
      each->setChecked(true);
    }
  }
}

}  // namespace

class TestControl : public QObject {
  Q_OBJECT
 private:
  QTemporaryDir home_;
  int number_ = 0;

  std::unique_ptr<test::SampleRun> liveRun() {
    const auto id = QStringLiteral("%1").arg(++number_, 12, 16, QLatin1Char('0')).toStdString();
    auto run = std::make_unique<test::SampleRun>(home_.path().toStdString(), id, "live");
    run->rows(1, 50);
    return run;
  }

 private Q_SLOTS:
  void initTestCase() {
    QVERIFY(home_.isValid());
    Theme::instance().apply(ThemeMode::kLight);
  }

  void switchIsPendingThenApplied() {
    const auto written = liveRun();
    test::FakeEngine engine(*written, [&](const contract::Command& command) {
      if (const auto* change = std::get_if<contract::OptimizerCommand>(&command.body)) {
        written->setOptimizer(change->name.value_or("sgd"), change->agvm.value_or(false));
      }
      return done(51);
    });
    session::RunSession run;
    run.open(written->path());
    OptimizerPanel panel;
    panel.setRun(&run);
    panel.show();
    QTRY_VERIFY(run.canControl());
    QVERIFY(!panel.applyButton()->isEnabled());
    QCOMPARE(panel.changeText(), QStringLiteral("Nothing is changed yet."));
    panel.chooseMethod(QStringLiteral("pmd_lamb"));
    panel.agvmBox()->setChecked(true);
    QVERIFY(panel.applyButton()->isEnabled());
    QVERIFY2(panel.changeText().startsWith(QStringLiteral("SGD → PMD-LAMB + AGVM")),
             qPrintable(panel.changeText()));

    engine.hold = true;
    panel.applyButton()->click();
    QTRY_VERIFY2(panel.stateText().startsWith(QStringLiteral("Pending")),
                 qPrintable(panel.stateText()));
    QTRY_COMPARE(engine.commands.size(), 1);
    // Nothing may be sent twice, and nothing shows as done, before the engine has spoken.
    QVERIFY(!panel.applyButton()->isEnabled());
    QVERIFY(!button(&panel, QStringLiteral("× ½"))->isEnabled());
    const auto sent = std::get<contract::OptimizerCommand>(engine.commands.first().body);
    QCOMPARE(sent.name, std::optional<std::string>("pmd_lamb"));
    QCOMPARE(sent.agvm, std::optional<bool>(true));
    QVERIFY(!sent.lr.has_value());
    QCOMPARE(sent.lr_mapping, contract::LrMapping::kMatchUpdate);
    QVERIFY(!sent.dry_run);

    engine.release();
    QTRY_VERIFY2(panel.stateText().startsWith(QStringLiteral("Applied at step 51")),
                 qPrintable(panel.stateText()));
    QTRY_VERIFY(!panel.applyButton()->isEnabled());
    QTRY_COMPARE(panel.changeText(), QStringLiteral("Nothing is changed yet."));
  }

  void refusalStandsAtItsField() {
    const auto written = liveRun();
    test::FakeEngine engine(*written, [](const contract::Command&) {
      contract::Reply reply;
      reply.error = "optim.pmd.period is at least 2, found 1.";
      reply.field = "optim.pmd.period";
      return reply;
    });
    session::RunSession run;
    run.open(written->path());
    OptimizerPanel panel;
    panel.setRun(&run);
    QTRY_VERIFY(run.canControl());
    panel.chooseMethod(QStringLiteral("pmd_lamb"));
    QLineEdit* period = edit(&panel, QStringLiteral("optim.pmd.period"));
    QVERIFY(period != nullptr);
    QTest::keyClicks(period, QStringLiteral("1"));
    panel.applyButton()->click();
    QTRY_COMPARE(engine.commands.size(), 1);
    QCOMPARE(std::get<contract::OptimizerCommand>(engine.commands.first().body)
                 .set.at("optim.pmd.period"),
             std::string("1"));
    QTRY_COMPARE(panel.stateText(),
                 QStringLiteral("Refused: optim.pmd.period is at least 2, found 1."));
    QVERIFY(period->property("invalid").toBool());
    QCOMPARE(period->text(), QStringLiteral("1"));
    // Correcting the field takes the mark away and Apply works again.
    QTest::keyClicks(period, QStringLiteral("0"));
    QVERIFY(!period->property("invalid").toBool());
    QVERIFY(panel.applyButton()->isEnabled());
  }

  void learningRateButtons() {
    const auto written = liveRun();
    QList<double> rates;
    test::FakeEngine engine(*written, [&](const contract::Command& command) {
      rates.append(std::get<contract::LrCommand>(command.body).value);
      written->setLr(rates.last());
      return done(50);
    });
    session::RunSession run;
    run.open(written->path());
    OptimizerPanel panel;
    panel.setRun(&run);
    QTRY_VERIFY(run.canControl());
    QTRY_COMPARE(run.status().lr, 0.05);
    button(&panel, QStringLiteral("× ½"))->click();
    QTRY_COMPARE(rates, (QList<double>{0.025}));
    QTRY_COMPARE(run.status().lr, 0.025);
    QTRY_VERIFY(button(&panel, QStringLiteral("× 2"))->isEnabled());
    button(&panel, QStringLiteral("× 2"))->click();
    QTRY_COMPARE(rates, (QList<double>{0.025, 0.05}));
    QLineEdit* input = edit(&panel, QStringLiteral("New learning rate"));
    QTRY_VERIFY(button(&panel, QStringLiteral("Set"))->isEnabled());
    input->setText(QStringLiteral("-3"));
    button(&panel, QStringLiteral("Set"))->click();
    QVERIFY(input->property("invalid").toBool());
    input->setText(QStringLiteral("0.01"));
    button(&panel, QStringLiteral("Set"))->click();
    QTRY_COMPARE(rates, (QList<double>{0.025, 0.05, 0.01}));
  }

  void previewChangesNothing() {
    const auto written = liveRun();
    test::FakeEngine engine(*written, [](const contract::Command&) {
      contract::Reply reply = done(-1);
      reply.detail = "old lr 0.05, new lr 0.02";
      return reply;
    });
    session::RunSession run;
    run.open(written->path());
    OptimizerPanel panel;
    panel.setRun(&run);
    QTRY_VERIFY(run.canControl());
    panel.chooseMethod(QStringLiteral("lamb"));
    panel.preview();
    QTRY_VERIFY(panel.findChild<PreviewDialog*>() != nullptr);
    QCOMPARE(panel.findChild<PreviewDialog*>()->findChild<QTextBrowser*>()->toPlainText(),
             QStringLiteral("old lr 0.05, new lr 0.02"));
    QVERIFY(std::get<contract::OptimizerCommand>(engine.commands.first().body).dry_run);
    QVERIFY(panel.applyButton()->isEnabled());
  }

  void shadowsAreAddedAndRemoved() {
    const auto written = liveRun();
    bool refuse = false;
    test::FakeEngine engine(*written, [&](const contract::Command& command) {
      const auto& shadow = std::get<contract::ShadowCommand>(command.body);
      if (refuse) {
        contract::Reply reply;
        reply.error = "optim.shadow.label must differ from shadow to shadow";
        reply.field = "optim.shadow.label";
        return reply;
      }
      written->event("shadow", 51, "A shadow.", contract::command_args(shadow));
      written->status(contract::RunState::kRunning);
      return done(51);
    });
    session::RunSession run;
    run.open(written->path());
    OptimizerPanel panel;
    panel.setRun(&run);
    QTRY_VERIFY(run.canControl());
    auto* list = panel.findChild<QListWidget*>();
    QPushButton *add = button(&panel, QStringLiteral("Add")),
                *remove = button(&panel, QStringLiteral("Remove"));
    QVERIFY(add->isEnabled() && !remove->isEnabled());
    edit(&panel, QStringLiteral("Label of a new shadow"))->setText(QStringLiteral("hot"));
    edit(&panel, QStringLiteral("Learning rate of a new shadow"))->setText(QStringLiteral("0.5"));
    add->click();
    QTRY_COMPARE(engine.commands.size(), 1);
    const auto sent = std::get<contract::ShadowCommand>(engine.commands.first().body);
    QCOMPARE(sent.name, std::string("sgd"));
    QCOMPARE(sent.label, std::string("hot"));
    QCOMPARE(sent.set.at("optim.lr"), std::string("0.5"));
    QTRY_COMPARE(list->count(), 1);
    QCOMPARE(list->item(0)->text(), QStringLiteral("hot"));
    QTRY_VERIFY(edit(&panel, QStringLiteral("Label of a new shadow"))->text().isEmpty());
    // A refusal stands at its field and leaves the list.
    refuse = true;
    QTRY_VERIFY(add->isEnabled());
    add->click();
    QTRY_VERIFY(
        edit(&panel, QStringLiteral("Label of a new shadow"))->property("invalid").toBool());
    QCOMPARE(list->count(), 1);
    refuse = false;
    QTRY_VERIFY(remove->isEnabled());
    remove->click();
    QTRY_COMPARE(list->count(), 0);
    QCOMPARE(std::get<contract::ShadowCommand>(engine.commands.last().body).action,
             contract::ShadowAction::kRemove);
  }

  void everyParameterCanBeShown() {
    const auto written = liveRun();
    session::RunSession run;
    run.open(written->path());
    OptimizerPanel panel;
    panel.setRun(&run);
    panel.chooseMethod(QStringLiteral("pmd_lamb"));
    QLineEdit* period = edit(&panel, QStringLiteral("optim.pmd.period"));
    QVERIFY(period != nullptr);
    period->setText(QStringLiteral("50"));
    QVERIFY(edit(&panel, QStringLiteral("optim.pmd.start")) == nullptr);
    check(&panel, QStringLiteral("All parameters"));
    QVERIFY(edit(&panel, QStringLiteral("optim.pmd.start")) != nullptr);
    // What was typed stays; a word is chosen from a list.
    QCOMPARE(panel.command().set.at("optim.pmd.period"), std::string("50"));
    for (QComboBox* box : panel.findChildren<QComboBox*>()) {
      if (box->accessibleName() == QStringLiteral("optim.pmd.variant")) {
        box->setCurrentText(QStringLiteral("readout"));
      }
    }
    QCOMPARE(panel.command().set.at("optim.pmd.variant"), std::string("readout"));
    QVERIFY(!panel.command().set.contains("optim.pmd.curve"));
  }

  void parametersAreThoseInForce() {
    const auto written = liveRun();
    written->event("optimizer",
                   50,
                   "Optimizer sgd -> sgd.",
                   {{"optim.momentum", "0.8"}, {"new_weight_decay", "0.003"}});
    written->status(contract::RunState::kRunning);
    session::RunSession run;
    run.open(written->path());
    OptimizerPanel panel;
    panel.setRun(&run);
    const auto shown = [&](const char* key) {
      QLineEdit* input = edit(&panel, QLatin1String(key));
      return input != nullptr ? input->placeholderText() : QString();
    };
    QTRY_COMPARE(shown("optim.momentum"), QStringLiteral("0.8"));
    QCOMPARE(shown("optim.weight_decay"), QStringLiteral("0.003"));
  }

  void undoAsksFirst() {
    const auto written = liveRun();
    written->event("restore_point", 50, "Restore point before the switch to LAMB.", {});
    written->event("optimizer", 50, "Optimizer sgd -> lamb.", {{"name", "lamb"}});
    written->status(contract::RunState::kRunning);
    test::FakeEngine engine(*written, [](const contract::Command&) { return done(50); });
    session::RunSession run;
    run.open(written->path());
    OptimizerPanel panel;
    panel.setRun(&run);
    QTRY_VERIFY(run.canControl());
    QTRY_VERIFY(panel.undoButton()->isEnabled());
    bool yes = false;
    QTimer answer;
    connect(&answer, &QTimer::timeout, this, [&] {
      for (QWidget* widget : QApplication::topLevelWidgets()) {
        if (auto* box = qobject_cast<QMessageBox*>(widget); box != nullptr && box->isVisible()) {
          box->button(yes ? QMessageBox::Yes : QMessageBox::Cancel)->click();
        }
      }
    });
    answer.start(20);
    panel.undoButton()->click();
    QTest::qWait(100);
    QVERIFY(engine.commands.isEmpty());
    yes = true;
    panel.undoButton()->click();
    QTRY_COMPARE(engine.commands.size(), 1);
    QVERIFY(std::holds_alternative<contract::UndoCommand>(engine.commands.first().body));
  }

  void endedRunCannotBeControlled() {
    const auto written = liveRun();
    written->finish();
    session::RunSession run;
    run.open(written->path());
    OptimizerPanel panel;
    panel.setRun(&run);
    panel.show();
    QTRY_COMPARE(run.state(), session::RunSession::State::kStored);
    panel.chooseMethod(QStringLiteral("lamb"));
    QVERIFY(!panel.applyButton()->isEnabled());
    QVERIFY(!panel.undoButton()->isEnabled());
    bool said = false;
    for (const QLabel* label : panel.findChildren<QLabel*>()) {
      said = said || label->text() == QStringLiteral("This run has ended: viewing only.");
    }
    QVERIFY(said);
  }

  void launchDialogShowsTheFormula() {
    LaunchDialog dialog(home_.path(), {});
    auto* accumulation =
        qobject_cast<QLineEdit*>(dialog.mainForm()->editor(QStringLiteral("batch.accumulation")));
    QVERIFY(accumulation != nullptr);
    QCOMPARE(dialog.formulaText(), QStringLiteral("8 × 1 × 1 = 8"));
    accumulation->selectAll();
    QTest::keyClicks(accumulation, QStringLiteral("16"));
    QCOMPARE(dialog.formulaText(), QStringLiteral("8 × 16 × 1 = 128"));
    QVERIFY(dialog.tomlEdit()->toPlainText().contains(QStringLiteral("accumulation = 16")));
  }

  void launchFaultStandsAtItsField() {
    LaunchDialog dialog(home_.path(), {});
    auto* micro =
        qobject_cast<QLineEdit*>(dialog.mainForm()->editor(QStringLiteral("batch.micro")));
    micro->selectAll();
    QTest::keyClicks(micro, QStringLiteral("0"));
    const QString fault = dialog.mainForm()->errorText(QStringLiteral("batch.micro"));
    QVERIFY2(fault.contains(QStringLiteral("micro")), qPrintable(fault));
    QVERIFY(micro->property("invalid").toBool());
    QVERIFY(!dialog.startButton()->isEnabled());
    QCOMPARE(dialog.form()->spec().batch.micro, 8);
    QTest::keyClick(micro, Qt::Key_Backspace);
    QTest::keyClicks(micro, QStringLiteral("4"));
    QVERIFY(dialog.mainForm()->errorText(QStringLiteral("batch.micro")).isEmpty());
    QVERIFY(!micro->property("invalid").toBool());
    QCOMPARE(dialog.form()->spec().batch.micro, 4);
  }

  void launchTomlFaultHasItsPlace() {
    LaunchDialog dialog(home_.path(), {});
    dialog.tomlEdit()->setPlainText(QStringLiteral("[batch]\nmicro = 8\nacumulation = 3\n"));
    QString fault;
    for (const QLabel* label : dialog.findChildren<QLabel*>()) {
      if (!label->isHidden() && label->text().contains(QStringLiteral("acumulation"))) {
        fault = label->text();
      }
    }
    QVERIFY2(fault.contains(QStringLiteral("accumulation")), qPrintable(fault));
    QVERIFY2(fault.contains(QStringLiteral("3")), qPrintable(fault));
    QVERIFY(!dialog.startButton()->isEnabled());
    // What was typed stays, so that it can be mended.
    QVERIFY(dialog.tomlEdit()->toPlainText().contains(QStringLiteral("acumulation")));
    dialog.tomlEdit()->setPlainText(QStringLiteral("[batch]\nmicro = 8\naccumulation = 3\n"));
    QCOMPARE(dialog.formulaText(), QStringLiteral("8 × 3 × 1 = 24"));
  }

  void launchNeedsAnEngine() {
    LaunchDialog without(home_.path(), {});
    QVERIFY(!without.startButton()->isEnabled());
    bool said = false;
    for (const session::PreflightItem& item : without.checks()) {
      said = said || (item.id == QLatin1String("engine") &&
                      item.level == session::PreflightItem::Level::kError);
    }
    QVERIFY(said);
    LaunchDialog with(home_.path(), QStringLiteral("/bin/true"));
    QTRY_VERIFY(with.startButton()->isEnabled());
  }

  void everyPresetCanBeChosen() {
    LaunchDialog dialog(home_.path(), QStringLiteral("/bin/true"));
    const QStringList presets = session::SpecForm::presets();
    QVERIFY(presets.contains(QStringLiteral("lab-large-batch")));
    for (const QString& name : presets) {
      QVERIFY2(dialog.loadPreset(name), qPrintable(name));
    }
    QVERIFY(dialog.loadPreset(QStringLiteral("lab-large-batch")));
    QVERIFY2(dialog.formulaText().endsWith(QStringLiteral("= 128")),
             qPrintable(dialog.formulaText()));
    QVERIFY(!dialog.loadPreset(QStringLiteral("no such preset")));
  }

  void everyInputOfTheDialogHasAName() {
    LaunchDialog dialog(home_.path(), {});
    for (const QLineEdit* input : dialog.findChildren<QLineEdit*>()) {
      if (!input->objectName().startsWith(QLatin1String("qt_"))) {
        QVERIFY(!input->accessibleName().isEmpty());
      }
    }
    for (const QComboBox* input : dialog.findChildren<QComboBox*>()) {
      QVERIFY(!input->accessibleName().isEmpty());
    }
  }
};

BATCHSCOPE_GUI_TEST(TestControl)
#include "tst_views_control.moc"
