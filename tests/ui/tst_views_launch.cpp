// Starting runs as a person does: what is refused keeps its reason, what is copied can be run.
#include "tests/ui/shown_window.h"
#include "ui/views/fork_dialog.h"
#include "ui/views/launch_dialog.h"
#include "ui/views/run_view.h"
#include "ui/views/spec_form_view.h"

using namespace batchscope;
using namespace batchscope::views;

class TestLaunching : public test::UserTest {
  Q_OBJECT
  static constexpr int kPatienceMs = 60000;

  /// A shell script in the engine's place; `train` is what it does for a training.
  QString fakeEngine(const QByteArray& train) {
    const QString path = home_.filePath(QStringLiteral("engine%1").arg(++number_));
    QFile file(path);
    if (!file.open(QIODevice::WriteOnly)) {
      return {};
    }
    file.write("#!/bin/sh\nif [ \"$1\" != train ]; then exit 2; fi\n" + train + "\n");
    file.setPermissions(QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
    return path;
  }
  std::unique_ptr<MainWindow> windowWith(const QString& engine) {
    auto window = std::make_unique<MainWindow>(WindowOptions{library_, engine, false});
    window->resize(1500, 1000);
    window->show();
    window->activateWindow();
    (void)QTest::qWaitForWindowActive(window.get());
    return window;
  }
  /// Acts on the next dialogs in turn, each once it is shown.
  template <class Dialog = LaunchDialog>
  void inDialogs(QList<std::function<void(Dialog*)>> acts) {
    auto* timer = new QTimer(this);
    auto acting = std::make_shared<bool>(false);
    connect(timer, &QTimer::timeout, timer, [timer, acts, acting]() mutable {
      auto* dialog = qobject_cast<Dialog*>(QApplication::activeModalWidget());
      if (dialog == nullptr || *acting || !dialog->isVisible() || dialog->result() != 0) {
        return;
      }
      *acting = true;
      const auto done = qScopeGuard([acting] { *acting = false; });
      const auto act = acts.takeFirst();
      if (acts.isEmpty()) {
        timer->stop();
        timer->deleteLater();
      }
      act(dialog);
    });
    timer->start(20);
  }
  static void type(LaunchDialog* dialog, const char* key, const QString& text) {
    auto* edit = dialog->mainForm()->editor(QLatin1String(key));
    auto* line = qobject_cast<QLineEdit*>(edit);
    if (line == nullptr) {
      line = edit->findChild<QLineEdit*>();
    }
    line->setFocus();
    line->selectAll();
    QTest::keyClicks(line, text);
    QTest::keyClick(line, Qt::Key_Tab);
  }

 private Q_SLOTS:
  void initTestCase() {
    QCoreApplication::setAttribute(Qt::AA_DontUseNativeDialogs);
    makeHome();
  }

  void aRefusedStartComesBackWithItsReason() {
    const QString run = library_ + QStringLiteral("/00000000beef");
    const auto window = windowWith(fakeEngine(
        "mkdir -p " + run.toUtf8() + "\necho run 00000000beef " + run.toUtf8() +
        "\nsleep 0.3\nrm -r " + run.toUtf8() +
        "\necho 'batchscope-engine: data.images: names 205 pictures that are not there' >&2\n"
        "exit 3"));
    bool again = false;
    inDialogs({[&](LaunchDialog* dialog) {
                 QCOMPARE(dialog->request().base, QStringLiteral("demo"));
                 dialog->loadPreset(QStringLiteral("lab-large-batch"));
                 type(dialog, "run.name", QStringLiteral("typed by hand"));
                 test::clickOn(dialog->startButton());
               },
               [&](LaunchDialog* dialog) {
                 again = true;
                 QVERIFY2(test::textsOf(dialog)
                              .join(QLatin1Char('\n'))
                              .contains(QStringLiteral(
                                  "data.images: names 205 pictures that are not there")),
                          qPrintable(test::textsOf(dialog).join(QLatin1Char('\n'))));
                 QCOMPARE(dialog->request().spec.run.name, std::string("typed by hand"));
                 QCOMPARE(dialog->request().spec.batch.micro, 64);
                 QCOMPARE(dialog->request().base, QStringLiteral("lab-large-batch"));
                 dialog->reject();
               }});
    test::press(window.get(), Qt::Key_N, Qt::ControlModifier);
    QTRY_VERIFY_WITH_TIMEOUT(again, kPatienceMs);
    QVERIFY(window->currentRun() == nullptr);
  }

  void aRefusedForkComesBackWithItsReason() {
    const auto run = emptyRun("parent");
    run->rows(1, 60);
    run->finish(contract::RunState::kFinished);
    const QString path = home_.filePath(QStringLiteral("refuses forks"));
    QFile file(path);
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write("#!/bin/sh\necho 'batchscope-engine: fork: the disk is full' >&2\nexit 4\n");
    file.setPermissions(QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
    file.close();
    const auto window = windowWith(path);
    window->openRun(run->path());
    QTRY_COMPARE(window->currentRun()->playheadSample().step, 60);
    bool again = false;
    inDialogs<ForkDialog>(
        {[](ForkDialog* dialog) {
           dialog->setStep(44);
           dialog->setChildren(
               {{QStringLiteral("lamb"), {}, QStringLiteral("0.0125"), QString(), QString()}});
           test::clickOn(dialog->startButton());
         },
         [&](ForkDialog* dialog) {
           again = true;
           const QString text = test::textsOf(dialog).join(QLatin1Char('\n'));
           QVERIFY2(text.contains(QStringLiteral("fork: the disk is full")), qPrintable(text));
           QCOMPARE(dialog->request().fork.step, 44);
           QCOMPARE(dialog->request().fork.children,
                    QStringList(QStringLiteral("optim.name=lamb,optim.lr=0.0125")));
           // It is of what was asked for.
           dialog->setStep(45);
           QVERIFY(!test::textsOf(dialog)
                        .join(QLatin1Char('\n'))
                        .contains(QStringLiteral("the disk is full")));
           dialog->reject();
         }});
    QTRY_VERIFY(window->actions()["fork"]->isEnabled());
    window->actions()["fork"]->trigger();
    QTRY_VERIFY_WITH_TIMEOUT(again, kPatienceMs);
  }

  void theFormSpeaksPlainly() {
    LaunchDialog dialog(library_, engine());
    dialog.show();
    dialog.loadPreset(QStringLiteral("lab-large-batch"));
    QVERIFY2(textsOf(dialog).contains(QStringLiteral("A large-batch experiment in seconds")),
             qPrintable(textsOf(dialog)));
    QVERIFY(textsOf(dialog).contains(QStringLiteral("Learning rate")));
    dialog.activateWindow();
    QVERIFY(QTest::qWaitForWindowActive(&dialog));
    dialog.mainForm()->editor(QStringLiteral("optim.base_batch"))->setFocus();
    QTRY_VERIFY(textsOf(dialog).contains(
        QStringLiteral("optim.base_batch: batch that lr is meant for. Default 16")));
    QTRY_VERIFY2(textsOf(dialog).contains(QStringLiteral("MB a rank for weights")),
                 qPrintable(textsOf(dialog)));
  }

  void whatStandsInTheFormIsSaved() {
    LaunchDialog dialog(library_, QStringLiteral("/bin/true"));
    dialog.show();
    dialog.loadPreset(QStringLiteral("demo"));
    type(&dialog, "optim.lr", QStringLiteral("0.0375"));
    const QString path = home_.filePath(QStringLiteral("mine.toml"));
    const auto save = [&](const QString& to) {
      inDialogs<QFileDialog>({[to](QFileDialog* files) {
        files->findChild<QLineEdit*>()->setText(to);
        QMetaObject::invokeMethod(files, "accept", Qt::QueuedConnection);
      }});
      test::clickOn(test::buttonOf<QPushButton>(&dialog, QStringLiteral("Save spec…")));
    };
    save(path);
    QVERIFY2(textsOf(dialog).contains(QStringLiteral("Saved as")), qPrintable(textsOf(dialog)));
    QFile file(path);
    QVERIFY(file.open(QIODevice::ReadOnly));
    QCOMPARE(QString::fromUtf8(file.readAll()), dialog.form()->toToml());
    QCOMPARE(dialog.request().base, path);
    save(home_.filePath(QStringLiteral("no such folder/mine.toml")));
    QTRY_VERIFY2(textsOf(dialog).contains(QStringLiteral("was not written")),
                 qPrintable(textsOf(dialog)));
    // What is marked red is not saved.
    type(&dialog, "optim.lr", QStringLiteral("much"));
    test::clickOn(test::buttonOf<QPushButton>(&dialog, QStringLiteral("Save spec…")));
    QVERIFY(textsOf(dialog).contains(QStringLiteral("Not saved")));
  }

  void theListIsNeverGreenerThanTheStart() {
    LaunchDialog dialog(library_, engine());
    dialog.show();
    dialog.loadPreset(QStringLiteral("demo"));
    QTRY_VERIFY2(textsOf(dialog).contains(QStringLiteral("4096 pictures, 3 classes")),
                 qPrintable(textsOf(dialog)));
    QTRY_VERIFY(dialog.startButton()->isEnabled());
    // The demo's list is not the changed run's.
    type(&dialog, "batch.micro", QStringLiteral("65536"));
    QTRY_VERIFY(textsOf(dialog).contains(QStringLiteral("An update takes 65536 pictures")));
    type(&dialog, "batch.micro", QStringLiteral("8"));
    const QString hello = home_.filePath(QStringLiteral("hello.json"));
    QFile file(hello);
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write("{\"hello\": 1}");
    file.close();
    session::SpecForm* form = dialog.form();
    form->setValue(QStringLiteral("data.kind"), QStringLiteral("coco"));
    form->setValue(QStringLiteral("data.annotations"), hello);
    form->setValue(QStringLiteral("data.images"), home_.path());
    QTRY_COMPARE(levelOf(dialog, "data"), session::PreflightItem::Level::kError);
    QVERIFY2(textsOf(dialog).contains(QStringLiteral("hello.json")), qPrintable(textsOf(dialog)));
    QTRY_VERIFY(!dialog.startButton()->isEnabled());
  }

  void aModelThatCannotBeBuiltIsRedBeforeTheStart() {
    LaunchDialog dialog(library_, engine());
    dialog.show();
    dialog.loadPreset(QStringLiteral("demo"));
    // What is being looked at is not green.
    QCOMPARE(levelOf(dialog, "data"), session::PreflightItem::Level::kChecking);
    dialog.form()->setValue(QStringLiteral("model.backbone"), QStringLiteral("resnet7"));
    QTRY_COMPARE(levelOf(dialog, "model"), session::PreflightItem::Level::kError);
    QVERIFY2(textsOf(dialog).contains(QStringLiteral("backbone")), qPrintable(textsOf(dialog)));
    QVERIFY(!dialog.startButton()->isEnabled());
    QVERIFY(!dialog.startButton()->toolTip().isEmpty());
  }

  void theModelIsChosenFromAList() {
    LaunchDialog dialog(library_, QStringLiteral("/bin/true"));
    dialog.show();
    dialog.loadPreset(QStringLiteral("demo"));
    auto* box = qobject_cast<QComboBox*>(dialog.mainForm()->editor(QStringLiteral("model.name")));
    QVERIFY(box != nullptr);
    QCOMPARE(box->currentText(), QStringLiteral("lab_faster_rcnn"));
    box->setFocus();
    QTest::keyClick(box, Qt::Key_Down);
    QCOMPARE(dialog.request().spec.model.name, box->currentText().toStdString());
    QVERIFY(dialog.request().spec.model.name != "lab_faster_rcnn");
  }

  void pathsAreLookedFor() {
    LaunchDialog dialog(library_, QStringLiteral("/bin/true"));
    dialog.show();
    dialog.loadPreset(QStringLiteral("tiny-coco"));
    const QString annotations = home_.filePath(QStringLiteral("train.json"));
    QFile file(annotations);
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.close();
    QCOMPARE(browsed(dialog, "data.annotations", annotations), QFileDialog::ExistingFile);
    QCOMPARE(dialog.request().spec.data.annotations, annotations.toStdString());
    QCOMPARE(browsed(dialog, "data.images", home_.path()), QFileDialog::Directory);
    QCOMPARE(dialog.request().spec.data.images, home_.path().toStdString());
    QVERIFY(dialog.mainForm()->browseButton(QStringLiteral("run.name")) == nullptr);
  }

  void whileAFieldIsRedNothingOldIsSaid() {
    LaunchDialog dialog(library_, engine());
    dialog.show();
    dialog.loadPreset(QStringLiteral("demo"));
    type(&dialog, "batch.accumulation", QStringLiteral("10000"));
    QTRY_VERIFY(textsOf(dialog).contains(QStringLiteral("10000")));
    type(&dialog, "batch.accumulation", QStringLiteral("much"));
    QTRY_COMPARE(levelOf(dialog, "spec"), session::PreflightItem::Level::kError);
    QVERIFY2(!textsOf(dialog).contains(QStringLiteral("10000")) &&
                 !textsOf(dialog).contains(QStringLiteral("10,000")),
             qPrintable(textsOf(dialog)));
    for (const auto& check : dialog.checks()) {
      QVERIFY2(check.id != QLatin1String("data") && check.id != QLatin1String("batch"),
               qPrintable(check.text));
    }
    type(&dialog, "batch.accumulation", QStringLiteral("4"));
    QTRY_COMPARE(levelOf(dialog, "spec"), session::PreflightItem::Level::kOk);
    QTRY_COMPARE(levelOf(dialog, "data"), session::PreflightItem::Level::kOk);
  }

  void copyAsCommandSaysSoAndRepeatsWhatIsShown() {
    LaunchDialog dialog(library_, QStringLiteral("/bin/true"));
    dialog.show();
    dialog.loadPreset(QStringLiteral("lab-large-batch"));
    type(&dialog, "optim.lr", QStringLiteral("0.07"));
    type(&dialog, "run.name", QStringLiteral("a hot one"));
    QApplication::clipboard()->clear();
    test::clickOn(test::buttonOf<QPushButton>(&dialog, QStringLiteral("Copy as command")));
    const QString command = QApplication::clipboard()->text();
    QVERIFY(test::textsOf(&dialog).contains(QStringLiteral("The command is on the clipboard.")));
    const QStringList words = wordsOf(command);
    QCOMPARE(words.value(1), QStringLiteral("train"));
    QVERIFY2(takesAll(words, dialog.form()->toToml()), qPrintable(command));
    // What is not part of a run is not part of a command.
    type(&dialog, "optim.lr", QStringLiteral("much"));
    test::clickOn(test::buttonOf<QPushButton>(&dialog, QStringLiteral("Copy as command")));
    QVERIFY(!test::textsOf(&dialog).contains(QStringLiteral("The command is on the clipboard.")));
  }

  void theCommandOfARunRepeatsIt() {
    const auto run = liveRun();
    const auto window = showWindow();
    window->openRun(run->path());
    QTRY_VERIFY(!window->currentRun()->info().id.isEmpty());
    QApplication::clipboard()->clear();
    window->actions()["copy_command"]->trigger();
    const QStringList words = wordsOf(QApplication::clipboard()->text());
    QCOMPARE(words.mid(1, 3),
             QStringList({QStringLiteral("runs"), QStringLiteral("rerun"), run->path()}));
  }

  void whatAnEngineSaidAtItsEndStandsAboveItsRun() {
    const auto run = emptyRun("refused to go on");
    run->rows(1, 20);
    run->finish(contract::RunState::kStopped);
    const auto window = windowWith(fakeEngine(
        "echo run " + QFileInfo(run->path()).fileName().toUtf8() + " " + run->path().toUtf8() +
        "\nsleep 0.3\necho 'batchscope-engine: the state is damaged' >&2\n"
        "exit 3"));
    window->openRun(run->path());
    QTRY_VERIFY(window->currentRun()->status().step == 20);
    session::LaunchRequest request;
    request.resumePath = run->path();
    window->start(request);
    QTRY_VERIFY_WITH_TIMEOUT(test::textsOf(window->runView())
                                 .join(QLatin1Char('\n'))
                                 .contains(QStringLiteral("the state is damaged")),
                             kPatienceMs);
  }

 private:
  /// Clicks a Browse button and chooses; the mode of the dialog that came.
  static QFileDialog::FileMode browsed(const LaunchDialog& dialog,
                                       const char* key,
                                       const QString& path) {
    auto mode = QFileDialog::AnyFile;
    QTimer timer;
    connect(&timer, &QTimer::timeout, &timer, [&] {
      if (auto* files = qobject_cast<QFileDialog*>(QApplication::activeModalWidget())) {
        timer.stop();
        mode = files->fileMode();
        files->findChild<QLineEdit*>()->setText(path);
        QMetaObject::invokeMethod(files, "accept", Qt::QueuedConnection);
      }
    });
    timer.start(20);
    test::clickOn(dialog.mainForm()->browseButton(QLatin1String(key)));
    return mode;
  }
  static QString engine() { return QStringLiteral(BATCHSCOPE_BIN_DIR "/batchscope-engine"); }
  static QString textsOf(const LaunchDialog& dialog) {
    return test::textsOf(&dialog).join(QLatin1Char('\n'));
  }
  static session::PreflightItem::Level levelOf(const LaunchDialog& dialog, const char* id) {
    for (const auto& check : dialog.checks()) {
      if (check.id == QLatin1String(id)) {
        return check.level;
      }
    }
    return session::PreflightItem::Level::kOk;
  }
  /// As a shell splits them.
  static QStringList wordsOf(const QString& command) {
    QProcess shell;
    shell.start(QStringLiteral("sh"),
                {QStringLiteral("-c"), QStringLiteral("printf '%s\\n' ") + command});
    shell.waitForFinished();
    return QString::fromUtf8(shell.readAllStandardOutput()).split(QLatin1Char('\n'));
  }
  /// The engine's own reading of the words, without a training: `spec show` takes the same.
  static bool takesAll(QStringList words, const QString& toml) {
    words.resize(words.indexOf(QStringLiteral("--library")));
    QProcess engine;
    engine.start(TestLaunching::engine(),
                 QStringList{QStringLiteral("spec"), QStringLiteral("show")} + words.mid(2));
    engine.waitForFinished(kPatienceMs);
    return QString::fromUtf8(engine.readAllStandardOutput()) == toml;
  }
};

BATCHSCOPE_GUI_TEST(TestLaunching)
#include "tst_views_launch.moc"
