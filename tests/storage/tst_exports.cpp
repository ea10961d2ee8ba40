#include "storage/csv_export.h"
#include "storage/private_paths.h"
#include "storage/run_bundle.h"
#include "storage/run_check.h"
#include "storage/run_lock.h"
#include "storage/sqlite.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QFile>
#include <QtTest>

#include <clocale>
#include <limits>

using namespace batchscope;
using namespace batchscope::test;
using contract::RunState;
using storage::RunReader;
using storage::RunWriter;

namespace {

namespace fs = std::filesystem;

const double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::numeric_limits<double>::quiet_NaN();

std::string content(const fs::path& file) {
  QFile in(QString::fromStdString(file.string()));
  return in.open(QIODevice::ReadOnly) ? in.readAll().toStdString() : std::string("(no file)");
}

std::string refusal(const std::function<void()>& action) {
  try {
    action();
    return {};
  } catch (const contract::StorageError& error) {
    return error.what();
  }
}

}  // namespace

class TestExports : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void csvGolden() {
    const TempFolder temp;
    const fs::path folder = temp.run("r"), out = temp.path() / "out.csv";
    RunWriter writer(folder, make_info(), false);
    // Added in an order of their own: the columns have the promised one.
    writer.add_series({make_series("m_norm/neck"),
                       make_series("noise/neck"),
                       make_series("pmd_c"),
                       make_series("loss/box"),
                       make_series("d/backbone"),
                       make_series("lr"),
                       make_series("loss"),
                       make_series("d/neck"),
                       make_series("mu/neck"),
                       make_series("images_per_s"),
                       make_series("grad_norm"),
                       make_series("odd, \"name\""),
                       make_series("loss/cls")});
    writer.segment({0, -1, 0, 2, "start"});
    writer.step(make_step(1, {{6, 1.5}, {5, 0.1}, {10, 1e300}, {0, -0.0}}));
    writer.step(make_step(2, {{6, kNan}, {5, 1e-5}, {3, kInf}, {12, -kInf}}));
    writer.step(make_step(3, {{6, 99.0}}));  // abandoned by the undo
    writer.segment({1, 0, 2, -1, "undo"});
    writer.step(make_step(
        4, {{6, 1.0 / 3.0}, {4, 5e-324}, {7, 2}, {8, 3}, {1, 4}, {2, 5}, {9, 6}, {11, 7}}, 1, 3));
    writer.commit();
    RunReader reader(folder);
    QCOMPARE(storage::export_csv(reader, out), std::int64_t{3});
    QCOMPARE(content(out),
             std::string(
                 "step,images,seconds,lr,loss,loss/box,loss/cls,grad_norm,images_per_s,d/backbone,"
                 "d/neck,mu/neck,noise/neck,pmd_c,m_norm/neck,\"odd, \"\"name\"\"\"\n"
                 "1,128,0.5,0.1,1.5,,,1e+300,,,,,,,-0,\n"
                 "2,256,1,1e-05,nan,inf,-inf,,,,,,,,,\n"
                 "3,384,2,,0.3333333333333333,,,,6,5e-324,2,3,4,5,,7\n"));
    writer.finish(RunState::kFinished, 0);
    const std::string live = content(out);
    storage::export_csv(reader, out);
    QCOMPARE(content(out), live);
  }

  void csvIgnoresTheLocale() {
    for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"}) {
      if (std::setlocale(LC_ALL, name)) {
        break;
      }
    }
    QCOMPARE(storage::number_text(1234567.5), std::string("1234567.5"));
    QCOMPARE(storage::number_text(0.1), std::string("0.1"));
    QCOMPARE(storage::number_text(-kNan), std::string("nan"));
    std::setlocale(LC_ALL, "C");
  }

  void csvOfManyBlocks() {
    const TempFolder temp;
    const fs::path folder = temp.run("r"), out = temp.path() / "out.csv";
    RunWriter writer(folder, make_info(), false);
    writer.add_series({make_series("loss"), make_series("d/neck")});
    constexpr int kRows = 40000;
    for (int i = 1; i <= kRows; ++i) {
      std::vector<std::pair<std::int32_t, double>> values = {{0, double(i)}};
      if (i % 10 == 0) {
        values.emplace_back(1, double(-i));
      }
      writer.step(make_step(i, values));
    }
    writer.commit();
    RunReader reader(folder);
    QCOMPARE(storage::export_csv(reader, out), std::int64_t{kRows});
    const QStringList lines =
        QString::fromStdString(content(out)).split(QLatin1Char('\n'), Qt::SkipEmptyParts);
    QCOMPARE(lines.size(), kRows + 1);
    for (int i = 1; i <= kRows; ++i) {
      const QStringList cells = lines[i].split(QLatin1Char(','));
      QCOMPARE(cells.size(), 5);
      QCOMPARE(cells[0].toInt(), i);
      QCOMPARE(cells[3].toInt(), i);
      QCOMPARE(cells[4], i % 10 == 0 ? QString::number(-i) : QString());
    }
  }

  void csvAppearsWholeOrNotAtAll() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    RunReader reader(folder);
    QVERIFY(!refusal([&] { storage::export_csv(reader, temp.path() / "no" / "out.csv"); }).empty());
    {
      storage::ReplacingFile file(temp.path() / "half.csv");
      file.write("half");
    }
    QVERIFY(!fs::exists(temp.path() / "half.csv"));
    int files = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(temp.path())) {
      ++files;
    }
    QCOMPARE(files, 1);  // the run folder
  }

  void pathsAreReducedToNames() {
    QCOMPARE(storage::without_folders("[data]\nannotations = \"/secret/a/train.json\"\n"
                                      "images = '/secret/b/pictures'\nval_images = \"relative\"\n"
                                      "[model]\nweights = \"../w/x.pth\"\n"
                                      "[schedule]\nimages = 38400\n[run]\nnotes = \"a/b\"\n"),
             std::string("[data]\nannotations = \"train.json\"\nimages = 'pictures'\n"
                         "val_images = \"relative\"\n[model]\nweights = \"x.pth\"\n"
                         "[schedule]\nimages = 38400\n[run]\nnotes = \"a/b\"\n"));
    QCOMPARE(storage::without_folders("val_list = \"/s/Main/val.txt\"\nclasses = \"/s/names.txt\"\n"
                                      "segments = \"/s/pan\"\n"),
             std::string("val_list = \"val.txt\"\nclasses = \"names.txt\"\nsegments = \"pan\"\n"));
    QCOMPARE(storage::without_folders("annotations = \"/s/t.json\""),
             std::string("annotations = \"t.json\""));
    // Every key, also one that is not known yet.
    QCOMPARE(storage::without_folders("hierarchy = \"/s/my folder/h.json\"\nval_image_labels = "
                                      "\"l/v.csv\"\nnew = [\"/s/a\", '~/b/c', \"d/e\"]\n"),
             std::string("hierarchy = \"h.json\"\nval_image_labels = \"v.csv\"\nnew = "
                         "[\"a\", 'c', \"d/e\"]\n"));
    QCOMPARE(storage::without_folders("name = \"a \\\"/s/b\\\" c\"\nweights = \"/\"\n"),
             std::string("name = \"a \\\"/s/b\\\" c\"\nweights = \"/\"\n"));
  }

  void pathsInSentencesAreReducedToNames() {
    const std::vector<std::string> folders = {"/home/me/my data/"};
    const auto cut = [&](const char* text) { return storage::without_folders_in(text, folders); };
    QCOMPARE(cut("/home/me/x.pth"), std::string("x.pth"));
    QCOMPARE(cut("/home/me too/my x.pth"), std::string("my x.pth"));
    QCOMPARE(cut("Took '/home/a b/run.sqlite' and /etc/passwd, then (/tmp/x)."),
             std::string("Took 'run.sqlite' and passwd, then (x)."));
    QCOMPARE(cut("read /home/me/my data/a.json: ok"), std::string("read a.json: ok"));
    QCOMPARE(cut("path=/a/b/c ~/d/e"), std::string("path=c e"));
    for (const char* same : {"",
                             "/",
                             "1/2 of it, and/or",
                             "checkpoints/step-1.ckpt",
                             "a / b",
                             "lr 0.1 -> 0.2",
                             "https://example.org/a",
                             "loss/box",
                             "it's 3/4 'x"}) {
      QCOMPARE(cut(same), std::string(same));
    }
  }

  void bundleGoesThereAndBack() {
    const TempFolder temp;
    const fs::path folder = temp.run("r"), out = temp.path() / "sent.bscope";
    contract::RunInfo info = make_info("00000000cafe");
    info.spec_toml = "[data]\nannotations = \"/very/secret/place/train.json\"\n";
    for (int i = 0; i < 400; ++i) {  // several pages of it
      info.spec_toml += "# padding " + std::to_string(i) + "\n";
    }
    info.spec_toml += "images = \"/very/secret/place/pictures\"\n";
    {
      RunWriter writer(folder, info, false);
      writer.add_series({make_series("loss")});
      writer.event({0,
                    0,
                    0,
                    "",
                    "weights",
                    "engine",
                    "All of '/very/secret/place/r50.pth' fits.",
                    {{"file", "/very/secret/place/r50.pth"}, {"state", "checkpoints/a.ckpt"}}});
      contract::ProbeRecord picture;
      picture.name = "/very/secret/place/pictures/1.jpg";
      picture.width = picture.height = 1;
      writer.probe(picture);
      for (int i = 1; i <= 1100; ++i) {
        writer.step(make_step(i, {{0, i * 0.5}}));
      }
      writer.commit();
      const std::string running = refusal([&] { storage::export_bundle(folder, out); });
      QVERIFY2(running.find("is not over") != std::string::npos, running.c_str());
      QVERIFY(!fs::exists(out));
      writer.finish(RunState::kFinished, 0);
    }
    storage::export_bundle(folder, out);
    QVERIFY(content(out).find("secret") == std::string::npos);
    QVERIFY(content(folder / storage::kRunFile).find("secret") != std::string::npos);
    QVERIFY(storage::check_run(out).problems.empty());

    const fs::path library = temp.path() / "library";
    const fs::path imported = storage::import_bundle(out, library);
    QCOMPARE(imported, library / "00000000cafe");
    RunReader reader(imported);
    const contract::EventRecord weights = reader.events(0).at(0).record;
    QCOMPARE(weights.text, std::string("All of 'r50.pth' fits."));
    QCOMPARE(weights.args.at("file"), std::string("r50.pth"));
    QCOMPARE(weights.args.at("state"), std::string("checkpoints/a.ckpt"));
    QCOMPARE(reader.probes().at(0).name, std::string("1.jpg"));
    QVERIFY(reader.info().spec_toml.find("annotations = \"train.json\"\n") != std::string::npos);
    QCOMPARE(content(imported / storage::kSpecFile), reader.info().spec_toml);
    storage::SeriesSamples loss;
    QCOMPARE(reader.read_series(0, 0, loss), std::int64_t{1100});
    QCOMPARE(loss.value.back(), 550.0);
    const std::string twice = refusal([&] { storage::import_bundle(out, library); });
    QVERIFY2(twice.find("already") != std::string::npos, twice.c_str());
    int entries = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(library)) {
      ++entries;
    }
    QCOMPARE(entries, 1);
  }

  void importRefusesWhatIsNoRun() {
    const TempFolder temp;
    QFile(QString::fromStdString((temp.path() / "x.bscope").string())).open(QIODevice::WriteOnly);
    QVERIFY(!refusal([&] {
               storage::import_bundle(temp.path() / "x.bscope", temp.path() / "l");
             }).empty());
    const fs::path folder = temp.run("r");
    RunWriter(folder, make_info("../../etc"), false).finish(RunState::kFinished, 0);
    const std::string bad =
        refusal([&] { storage::import_bundle(folder / "run.sqlite", temp.path() / "l"); });
    QVERIFY2(bad.find("no run id") != std::string::npos, bad.c_str());
    QVERIFY(!fs::exists(temp.path() / "l"));
  }

  void checkFindsDamage_data() {
    QTest::addColumn<QString>("sql");
    QTest::addColumn<QString>("problem");
    const auto row = [](const char* name, const char* sql, const char* problem) {
      QTest::newRow(name) << QString::fromUtf8(sql) << QString::fromUtf8(problem);
    };
    row("summary", "UPDATE series_chunk SET max = 1e9", "summary");
    row("nonfinite", "UPDATE series_chunk SET nonfinite = 1", "summary");
    row("size", "UPDATE series_chunk SET samples = x'00'", "bytes");
    row("rows gone", "DELETE FROM axis_chunk", "without a row");
    row("axis", "UPDATE axis_chunk SET last_seq = 5", "does not hold");
    row("no state", "DELETE FROM state", "expected 1");
    row("series", "DELETE FROM series", "does not hold");
  }
  void checkFindsDamage() {
    QFETCH(QString, sql);
    QFETCH(QString, problem);
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    writer.add_series({make_series("loss")});
    for (int i = 1; i <= 1500; ++i) {
      writer.step(make_step(i, {{0, i * 0.5}}));
    }
    writer.finish(RunState::kFinished, 0);
    QVERIFY(storage::check_run(folder).problems.empty());
    storage::Database(folder / storage::kRunFile, storage::Database::Mode::kReadWrite)
        .execute(sql.toStdString());
    const auto problems = storage::check_run(folder).problems;
    QVERIFY(!problems.empty());
    QVERIFY2(problems.front().find(problem.toStdString()) != std::string::npos,
             problems.front().c_str());
  }

  void checkSurvivesDamagedPages() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    writer.add_series({make_series("loss")});
    for (int i = 1; i <= 5000; ++i) {
      writer.step(make_step(i, {{0, i * 0.5}}));
    }
    writer.finish(RunState::kFinished, 0);
    QFile file(QString::fromStdString((folder / storage::kRunFile).string()));
    QVERIFY(file.open(QIODevice::ReadWrite));
    for (qint64 page = 30; page * 4096 < file.size(); page += 2) {
      file.seek(page * 4096);
      file.write(QByteArray(4096, '\xff'));
    }
    file.close();
    QVERIFY(!storage::check_run(folder).problems.empty());
  }
};

BATCHSCOPE_TEST(TestExports)
#include "tst_exports.moc"
