#include "tests/support/test_program.h"
#include "ui/session/command_words.h"
#include "ui/session/launcher.h"
#include "ui/session/preflight.h"
#include "ui/session/spec_form.h"

#include <QDir>
#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <signal.h>
#include <unistd.h>

using namespace batchscope;
using namespace batchscope::session;

namespace {

PreflightItem itemOf(const QList<PreflightItem>& items, const char* id) {
  for (const auto& item : items)
    if (item.id == QLatin1String(id))
      return item;
  return {};
}

}  // namespace

class TestLaunch : public QObject {
  Q_OBJECT

 private:
  std::unique_ptr<QTemporaryDir> folder_;

  /// A shell script in the engine's place.
  QString fakeEngine(const QByteArray& body) {
    const auto path = folder_->filePath(QStringLiteral("batchscope-engine"));
    QFile file(path);
    if (!file.open(QIODevice::WriteOnly))
      return {};
    file.write("#!/bin/sh\n" + body + "\n");
    file.setPermissions(QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
    return path;
  }
  QByteArray content(const char* name) const {
    QFile file(folder_->filePath(QLatin1String(name)));
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
  }
  /// Of its script, once it has told its pid: no pid would be this test and all that CTest runs.
  void killEngine() const {
    QTRY_VERIFY(content("pid").endsWith('\n'));
    ::kill(static_cast<pid_t>(content("pid").trimmed().toLongLong()), SIGKILL);
  }
  /// A run's folder with a record, as it stands once model and data were accepted.
  QString recordedRun(const char* name) {
    const auto run = folder_->filePath(QLatin1String(name));
    QDir().mkpath(run);
    QFile record(run + QStringLiteral("/run.sqlite"));
    return record.open(QIODevice::WriteOnly) ? run : QString();
  }
  PreflightContext goodContext() {
    PreflightContext context;
    context.library = folder_->path();
    context.enginePath = fakeEngine("exit 0");
    context.cores = 4;
    context.freeBytes = 10'000'000'000;
    context.cudaDevice = false;
    return context;
  }

 private Q_SLOTS:
  void init() { folder_ = std::make_unique<QTemporaryDir>(); }

  void startsDetachedAndReadsTheRun() {
    const auto log = folder_->path();
    const auto run = recordedRun("a library/0123456789ab");
    Launcher launcher;
    launcher.setEnginePath(fakeEngine("echo \"$@\" > " + log.toUtf8() + "/args\ncp \"$2\" " +
                                      log.toUtf8() + "/spec\nps -o sid= -p $$ > " + log.toUtf8() +
                                      "/sid\nprintf 'run 0123'\nsleep 0.2\nprintf '456789ab " +
                                      run.toUtf8() +
                                      "\\n'\n"
                                      "echo $$ > " +
                                      log.toUtf8() + "/pid\nsleep 30"));
    QSignalSpy started(&launcher, &Launcher::started);
    QSignalSpy failed(&launcher, &Launcher::failed);
    LaunchRequest request;
    request.spec.run.name = "from the window";
    request.library = QStringLiteral("/tmp/a library");
    request.device = QStringLiteral("cpu");
    QVERIFY(launcher.start(request));
    QVERIFY(launcher.isStarting());
    QVERIFY(!launcher.start(request));  // one at a time
    QTRY_COMPARE(started.count(), 1);
    QCOMPARE(failed.count(), 0);
    QCOMPARE(started[0][0].toString(), QStringLiteral("0123456789ab"));
    QCOMPARE(started[0][1].toString(), run);
    QVERIFY(!launcher.isStarting());
    QVERIFY(content("args").contains("--library /tmp/a library --device cpu"));
    QVERIFY(content("args").startsWith("train /"));
    QCOMPARE(contract::parse_spec(content("spec").toStdString()).run.name,
             std::string("from the window"));
    // A session of its own: it lives on when this process and its terminal go.
    const auto session = content("sid").trimmed().toLongLong();
    QVERIFY(session > 0);
    QVERIFY(session != ::getsid(0));
    QTRY_VERIFY(!content("pid").trimmed().isEmpty());
    killEngine();
  }

  void saysWhyTheEngineEnded() {
    Launcher launcher;
    launcher.setEnginePath(
        fakeEngine("echo first line >&2\necho 'batch.micro must be >= 1, found 0' >&2\nexit 2"));
    QSignalSpy failed(&launcher, &Launcher::failed);
    QVERIFY(launcher.start({}));
    QTRY_COMPARE(failed.count(), 1);
    QVERIFY(failed[0][0].toString().contains(QStringLiteral("batch.micro must be >= 1")));
    QVERIFY(failed[0][1].toString().contains(QStringLiteral("first line")));
    QVERIFY(!launcher.isStarting());
  }

  void aRunThatIsRefusedIsNoStart() {
    const auto run = folder_->filePath(QStringLiteral("0123456789ab"));
    Launcher launcher;
    launcher.setEnginePath(fakeEngine("mkdir " + run.toUtf8() + "\necho run 0123456789ab " +
                                      run.toUtf8() + "\nsleep 0.3\nrmdir " + run.toUtf8() +
                                      "\necho 'warning: a word' >&2\n"
                                      "echo 'batchscope-engine: model.name: no such model' >&2\n"
                                      "exit 2"));
    QSignalSpy started(&launcher, &Launcher::started), failed(&launcher, &Launcher::failed);
    QVERIFY(launcher.start({}));
    QTRY_COMPARE(failed.count(), 1);
    QCOMPARE(started.count(), 0);
    QVERIFY2(failed[0][0].toString().endsWith(QStringLiteral(" model.name: no such model")),
             qPrintable(failed[0][0].toString()));
    QVERIFY(!launcher.isStarting());
  }

  void findsTheFaultInTheEnginesWords() {
    QCOMPARE(Launcher::faultIn(QStringLiteral("step 7\nDone.")), QString());
    QCOMPARE(Launcher::faultIn(QStringLiteral("batchscope-engine: a\nb")), QStringLiteral("a\nb"));
    QCOMPARE(Launcher::faultIn(QStringLiteral("batchscope-engine: a\nbatchscope-engine: b")),
             QStringLiteral("b"));
  }

  void reportsTheEndOfWhatItStarted() {
    Launcher launcher;
    launcher.setEnginePath(
        fakeEngine("echo run 0123456789ab " + recordedRun("x").toUtf8() + "\nwhile [ ! -e " +
                   folder_->path().toUtf8() +
                   "/go ]; do sleep 0.02; done\necho 'train.json is missing' >&2\nexit 3"));
    QSignalSpy started(&launcher, &Launcher::started);
    QSignalSpy ended(&launcher, &Launcher::ended);
    QVERIFY(launcher.start({}));
    QTRY_COMPARE(started.count(), 1);
    QCOMPARE(ended.count(), 0);
    QVERIFY(QFile(folder_->filePath(QStringLiteral("go"))).open(QIODevice::WriteOnly));
    QTRY_COMPARE(ended.count(), 1);
    QCOMPARE(ended[0][0].toString(), QStringLiteral("0123456789ab"));
    QCOMPARE(ended[0][1].toString(), QStringLiteral("train.json is missing"));
  }

  void saysThatTheEngineIsSilent() {
    Launcher launcher;
    launcher.setEnginePath(fakeEngine("echo $$ > " + folder_->path().toUtf8() + "/pid\nsleep 30"));
    launcher.setTimeout(300);
    QSignalSpy failed(&launcher, &Launcher::failed);
    QVERIFY(launcher.start({}));
    QTRY_COMPARE(failed.count(), 1);
    QVERIFY(failed[0][0].toString().contains(QStringLiteral("has not named its run")));
    killEngine();
  }

  void saysThatThereIsNoEngine() {
    Launcher launcher;
    launcher.setEnginePath({});
    QSignalSpy failed(&launcher, &Launcher::failed);
    launcher.start({});
    QTRY_COMPARE(failed.count(), 1);
    launcher.setEnginePath(QStringLiteral("/nonexistent/engine"));
    launcher.start({});
    QTRY_COMPARE(failed.count(), 2);
    QVERIFY(failed[1][0].toString().contains(QStringLiteral("/nonexistent/engine")));
  }

  void findsTheEngine() {
    const auto engine = fakeEngine("exit 0");
    QCOMPARE(Launcher::findEngine(engine), engine);
    const auto path = qgetenv("PATH");
    qputenv("PATH", folder_->path().toUtf8() + ":" + path);
    const auto found = Launcher::findEngine(QStringLiteral("/nonexistent"));
    qputenv("PATH", path);
    QVERIFY(found.endsWith(QStringLiteral("/batchscope-engine")));
    QVERIFY(!found.startsWith(QStringLiteral("/nonexistent")));
  }

  void commandLineIsQuoted() {
    Launcher launcher;
    launcher.setEnginePath(QStringLiteral("/opt/it's here/batchscope-engine"));
    LaunchRequest request;
    request.spec = contract::load_spec("demo");
    request.spec.run.name = "a b";
    request.library = QStringLiteral("/lib");
    QCOMPARE(launcher.commandLine(request),
             QStringLiteral("'/opt/it'\\''s here/batchscope-engine' train demo --set "
                            "'run.name=\"a b\"' --library /lib"));
    request.resumePath = QStringLiteral("0123456789ab");
    QVERIFY(launcher.commandLine(request).contains(QStringLiteral("--resume 0123456789ab")));
  }

  /// What the engine makes of the words is what was shown.
  void commandGivesTheSpecBack_data() {
    QTest::addColumn<QString>("base");
    for (const auto& preset : SpecForm::presets())
      QTest::newRow(qPrintable(preset)) << preset;
    QTest::newRow("none") << QString();
    QTest::newRow("a file that is gone") << QStringLiteral("/nonexistent/spec.toml");
  }
  void commandGivesTheSpecBack() {
    QFETCH(QString, base);
    SpecForm form;
    if (SpecForm::presets().contains(base))
      QVERIFY(form.loadPreset(base));
    QVERIFY(form.setValue(QStringLiteral("run.name"), QStringLiteral("it's \"new\", \\ too")));
    QVERIFY(form.setValue(QStringLiteral("optim.betas"), QStringLiteral("[0.8, 0.95]")));
    QVERIFY(form.setValue(QStringLiteral("optim.eps"), QStringLiteral("1e-7")));
    QVERIFY(form.setValue(QStringLiteral("optim.agvm.enabled"), QStringLiteral("true")));
    const auto words = trainWords(form.spec(), base);
    QVERIFY(words.size() > 2);
    auto spec = contract::load_spec(words[1].toStdString());
    for (qsizetype i = 2; i < words.size(); i += 2) {
      QCOMPARE(words[i], QStringLiteral("--set"));
      const auto key = words[i + 1].section(QLatin1Char('='), 0, 0).toStdString();
      contract::set_value(spec, key, words[i + 1].section(QLatin1Char('='), 1).toStdString());
    }
    QVERIFY(spec == form.spec());
  }

  void noCommandForWhatNoSetGives() {
    auto spec = contract::load_spec("lab-rescue");
    QCOMPARE(trainWords(spec, QStringLiteral("lab-rescue")),
             QStringList({QStringLiteral("train"), QStringLiteral("lab-rescue")}));
    spec.events.front().step += 1;
    QVERIFY(trainWords(spec, QStringLiteral("lab-rescue")).isEmpty());
  }

  void preflightTellsWhatTheEngineFound() {
    auto context = goodContext();
    context.trialRuns = true;
    QCOMPARE(itemOf(preflight({}, context), "data").level, PreflightItem::Level::kChecking);
    QVERIFY(canStart(preflight({}, context)));
    context.trial = readTrial(R"({"ok":true,"training":{"pictures":205,"things":3,"stuff":0},
        "validation":null,"parameters":41000000,"weights":"","warnings":["a word"]})");
    auto items = preflight({}, context);
    QCOMPARE(itemOf(items, "data").text,
             QStringLiteral("205 pictures, 3 classes; none to evaluate on"));
    QCOMPARE(itemOf(items, "warning").text, QStringLiteral("a word"));
    // Weights, gradients and one buffer of 4 bytes each, and the two halves that AGVM looks at.
    contract::RunSpec spec;
    spec.optim.agvm.enabled = spec.optim.agvm.observe = false;
    const auto memory = [&] { return itemOf(preflight(spec, context), "memory").text; };
    QVERIFY2(memory().startsWith(QStringLiteral("492.0 MB a rank")), qPrintable(memory()));
    spec.optim.name = "adamw";
    QVERIFY2(memory().startsWith(QStringLiteral("656.0 MB a rank")), qPrintable(memory()));
    spec.optim.agvm.enabled = true;
    QVERIFY2(memory().startsWith(QStringLiteral("984.0 MB a rank")), qPrintable(memory()));
    context.trial = readTrial(R"({"ok":false,"field":"model.name","error":"no such model"})");
    items = preflight({}, context);
    QCOMPARE(itemOf(items, "model").level, PreflightItem::Level::kError);
    QCOMPARE(startFault(items), QStringLiteral("no such model"));
    context.trial = TrialResult{};
    context.trial->error = QStringLiteral("it knows no --deep");
    items = preflight({}, context);
    QCOMPARE(itemOf(items, "data").level, PreflightItem::Level::kWarning);
    QVERIFY(canStart(items));
    QVERIFY(!readTrial("no JSON"));
  }

  void preflightOfTheDemoIsGreen() {
    const auto items = preflight({}, goodContext());
    QVERIFY(canStart(items));
    for (const auto& item : items)
      QVERIFY2(item.level == PreflightItem::Level::kOk, qPrintable(item.id + item.text));
    QVERIFY(itemOf(items, "batch").text.endsWith(QStringLiteral("= 8")));
    QVERIFY(itemOf(items, "device").text.startsWith(QStringLiteral("No CUDA device")));
  }

  void preflightStatesTheShadows() {
    contract::RunSpec spec;
    spec.optim.shadow = {contract::make_shadow("lamb", "", {}),
                         contract::make_shadow("sgd", "slow", {})};
    const auto item = itemOf(preflight(spec, goodContext()), "shadows");
    QVERIFY2(item.text.startsWith(
                 QStringLiteral("lamb, slow: 12 bytes of memory a parameter, and 12 more")),
             qPrintable(item.text));
  }

  void preflightChecksEveryPath_data() {
    QTest::addColumn<QStringList>("keys");
    const auto row = [](const char* kind, const char* more) {
      QTest::newRow(kind) << QStringLiteral("annotations images val_annotations val_images ")
                                 .append(QLatin1String(more))
                                 .split(QLatin1Char(' '), Qt::SkipEmptyParts);
    };
    row("coco", "");
    row("coco-panoptic", "segments val_segments");
    row("voc", "list val_list");
    row("ade20k", "list val_list classes");
    row("openimages", "list val_list classes hierarchy val_image_labels");
  }
  void preflightChecksEveryPath() {
    QFETCH(QStringList, keys);
    using Level = PreflightItem::Level;
    const auto kind = QLatin1String(QTest::currentDataTag());
    const bool folders = kind == QLatin1String("voc") || kind == QLatin1String("ade20k");
    QFile file(folder_->filePath(QStringLiteral("file")));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.close();
    contract::RunSpec spec;
    spec.data.kind = kind.latin1();
    for (const auto& key : keys) {
      const bool folder = key.endsWith(QLatin1String("images")) ||
                          key.endsWith(QLatin1String("segments")) ||
                          (folders && key.endsWith(QLatin1String("annotations")));
      contract::set_value(spec,
                          "data." + key.toStdString(),
                          (folder ? folder_->path() : file.fileName()).toStdString());
    }
    const auto good = itemOf(preflight(spec, goodContext()), "data");
    QVERIFY2(good.level == Level::kOk, qPrintable(good.text));
    for (const auto& key : keys) {
      auto broken = spec;
      const auto name = QStringLiteral("data.") + key;
      contract::set_value(broken, name.toStdString(), "/nonexistent/" + key.toStdString());
      const auto found = itemOf(preflight(broken, goodContext()), "data");
      QCOMPARE(found.level, Level::kError);
      QCOMPARE(found.field, name);
      QVERIFY2(found.text.contains(QStringLiteral("/nonexistent/")), qPrintable(found.text));
    }
  }

  void preflightLooksForThePngsBesideTheAnnotations() {
    QFile file(folder_->filePath(QStringLiteral("panoptic.json")));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.close();
    contract::RunSpec spec;
    spec.data.kind = "coco-panoptic";
    spec.data.annotations = file.fileName().toStdString();
    spec.data.images = folder_->path().toStdString();
    QCOMPARE(itemOf(preflight(spec, goodContext()), "data").field, QStringLiteral("data.segments"));
    QVERIFY(QDir(folder_->path()).mkdir(QStringLiteral("panoptic")));
    const auto good = itemOf(preflight(spec, goodContext()), "data");
    QVERIFY2(good.level == PreflightItem::Level::kOk, qPrintable(good.text));
  }

  void preflightFindsFaults() {
    using Level = PreflightItem::Level;
    contract::RunSpec spec;
    spec.data.kind = "coco";
    spec.data.annotations = "/nonexistent/train.json";
    spec.data.images = folder_->path().toStdString();
    spec.batch.ranks = 8;
    spec.precision.threads = 2;
    spec.model.weights = "/nonexistent/weights.pth";
    auto context = goodContext();
    context.enginePath.clear();
    context.freeBytes = 1'000'000'000;
    context.device = QStringLiteral("cuda");
    auto items = preflight(spec, context);
    QVERIFY(!canStart(items));
    QCOMPARE(itemOf(items, "engine").level, Level::kError);
    QCOMPARE(itemOf(items, "data").level, Level::kError);
    QCOMPARE(itemOf(items, "data").field, QStringLiteral("data.annotations"));
    QVERIFY(itemOf(items, "data").text.contains(QStringLiteral("/nonexistent/train.json")));
    QCOMPARE(itemOf(items, "weights").level, Level::kError);
    QCOMPARE(itemOf(items, "disk").level, Level::kWarning);
    QCOMPARE(itemOf(items, "device").level, Level::kError);
    context.device = QStringLiteral("cpu");
    context.freeBytes = 100'000'000;
    items = preflight(spec, context);
    QCOMPARE(itemOf(items, "cores").level, Level::kWarning);
    QCOMPARE(itemOf(items, "disk").level, Level::kError);
    spec.batch.micro = 0;
    items = preflight(spec, context);
    QCOMPARE(itemOf(items, "spec").level, Level::kError);
    QCOMPARE(itemOf(items, "spec").field, QStringLiteral("batch.micro"));
  }

  void batchNormWithAccumulationIsAWarning() {
    contract::RunSpec spec;
    spec.model.norm = "bn";
    spec.batch.accumulation = 4;
    const auto items = preflight(spec, goodContext());
    QCOMPARE(itemOf(items, "batch").level, PreflightItem::Level::kWarning);
  }

  void formHasEveryKeyOfTheSchema() {
    SpecForm form;
    const auto fields = form.fields();
    QCOMPARE(static_cast<std::size_t>(fields.size()), contract::schema().size());
    QVERIFY(form.sections().contains(QStringLiteral("optim")));
    const auto name = form.field(QStringLiteral("optim.name"));
    QVERIFY(name.choices.contains(QStringLiteral("pmd_lamb")));
    QCOMPARE(name.value, QStringLiteral("sgd"));
    QVERIFY(name.isDefault);
    QCOMPARE(form.field(QStringLiteral("optim.agvm.enabled")).choices.size(), 2);
    for (const auto& field : fields)
      QVERIFY2(field.error.isEmpty(), qPrintable(field.key + field.error));
  }

  void everyFieldTakesItsOwnValue() {
    SpecForm form;
    for (const auto& field : form.fields()) {
      QVERIFY2(form.setValue(field.key, field.value),
               qPrintable(field.key + QStringLiteral(": ") + form.errors().value(field.key)));
      QCOMPARE(form.value(field.key), field.value);
    }
    QVERIFY(form.spec() == contract::RunSpec{});
  }

  void aBadInputKeepsTheOldValue() {
    SpecForm form;
    QSignalSpy changed(&form, &SpecForm::fieldChanged);
    const auto key = QStringLiteral("batch.micro");
    QVERIFY(!form.setValue(key, QStringLiteral("zero")));
    QCOMPARE(form.spec().batch.micro, std::int64_t{8});
    QCOMPARE(form.field(key).value, QStringLiteral("zero"));
    QVERIFY(!form.field(key).error.isEmpty());
    QVERIFY(!form.isValid());
    QVERIFY(form.setValue(key, QStringLiteral("16")));
    QVERIFY(form.isValid());
    QVERIFY(form.field(key).error.isEmpty());
    QVERIFY(!form.field(key).isDefault);
    QVERIFY(form.setValue(key, QString()));  // empty: the default
    QCOMPARE(form.spec().batch.micro, std::int64_t{8});
    QCOMPARE(changed.count(), 3);
    QVERIFY(!form.setValue(QStringLiteral("optim.nme"), QStringLiteral("x")));
  }

  void formulasOfTheForm() {
    SpecForm form;
    form.setValue(QStringLiteral("batch.accumulation"), QStringLiteral("16"));
    QCOMPARE(form.effectiveBatchText(), QStringLiteral("8 %1 16 %1 1 = 128").arg(QChar(0xD7)));
    QCOMPARE(form.learningRateText(), QStringLiteral("lr 0.08"));
    form.setValue(QStringLiteral("optim.lr_rule"), QStringLiteral("sqrt"));
    // 0.08 x sqrt(128 / 16) = 0.2263
    QVERIFY2(form.learningRateText().endsWith(QStringLiteral("= 0.2263")),
             qPrintable(form.learningRateText()));
    QCOMPARE(form.lengthText(), QStringLiteral("300 steps, 38400 pictures"));
  }

  void presetsLoad() {
    QVERIFY(SpecForm::presets().contains(QStringLiteral("lab-large-batch")));
    SpecForm form;
    for (const auto& preset : SpecForm::presets())
      QVERIFY2(form.loadPreset(preset), qPrintable(form.error()));
    QVERIFY(form.loadPreset(QStringLiteral("lab-large-batch")));
    QCOMPARE(form.spec().batch.effective(), std::int64_t{128});
    const auto before = form.spec();
    QVERIFY(!form.loadPreset(QStringLiteral("no-such-preset")));
    QVERIFY(!form.error().isEmpty());
    QVERIFY(!form.loadToml(QStringLiteral("[optim]\nlrr = 1\n")));
    QVERIFY2(form.error().contains(QStringLiteral("lr")), qPrintable(form.error()));
    QVERIFY(form.spec() == before);
    QVERIFY(form.loadToml(form.toToml()));
    QVERIFY(form.spec() == before);
  }
};

BATCHSCOPE_TEST(TestLaunch)
#include "tst_session_launch.moc"
