#include "storage/run_lock.h"
#include "storage/run_removal.h"
#include "storage/sqlite.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <fstream>
#include <sys/stat.h>

using namespace batchscope;
using namespace batchscope::test;
using storage::RunWriter;

namespace {

namespace fs = std::filesystem;

/// Why it was not removed; empty: it was.
std::string refusal(const fs::path& path) {
  try {
    storage::remove_run(path);
    return {};
  } catch (const contract::StorageError& error) {
    return error.what();
  }
}

void write(const fs::path& file, const std::string& text = "precious") {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

/// A run that has ended, with all that a run has in its folder.
fs::path whole_run(const TempFolder& temp, const std::string& name) {
  const fs::path folder = temp.run(name);
  RunWriter(folder, make_info(), false).finish(contract::RunState::kFinished, 0);
  for (const char* file : {"spec.toml",
                           "fork.json",
                           "control.json",
                           "run.lock",
                           "run.sqlite.part",
                           "spec.toml.part",
                           "logs/rank1.log",
                           "checkpoints/step-00000010-segment-0.ckpt",
                           "checkpoints/step-00000020-segment-0.ckpt.part12"}) {
    write(folder / file, "[run]\n");
  }
  return folder;
}

}  // namespace

class TestRunRemoval : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void runsAreRemoved() {
    const TempFolder temp;
    const fs::path folder = whole_run(temp, "r");
    QVERIFY(storage::remove_run(folder).empty());
    QVERIFY(!fs::exists(folder));
    const fs::path bundle = temp.path() / "r.bscope";
    fs::copy_file(whole_run(temp, "s") / "run.sqlite", bundle);
    QCOMPARE(refusal(bundle), std::string());
    QVERIFY(!fs::exists(bundle));
    const fs::path prepared = temp.run("prepared");
    write(prepared / "spec.toml", "[run]\nname = \"one\"\n");
    QCOMPARE(refusal(prepared), std::string());
    QVERIFY(!fs::exists(prepared));
    // Nobody needs to be able to read it.
    const fs::path damaged = whole_run(temp, "damaged");
    fs::resize_file(damaged / "run.sqlite", 5000);
    QCOMPARE(refusal(damaged / "run.sqlite"), std::string());
    QVERIFY(!fs::exists(damaged));
  }

  void aRunThatIsWrittenStays() {
    const TempFolder temp;
    const fs::path folder = whole_run(temp, "r");
    {
      const storage::RunLock lock(folder);
      QVERIFY(refusal(folder).find("being written") != std::string::npos);
      QVERIFY(fs::exists(folder / "checkpoints" / "step-00000010-segment-0.ckpt"));
    }
    QCOMPARE(refusal(folder), std::string());
  }

  void whatIsNoRunStays_data() {
    QTest::addColumn<QString>("what");
    for (const char* what : {"text",
                             "text.bscope",
                             "folder",
                             "empty run.sqlite",
                             "other database",
                             "empty spec",
                             "foreign spec",
                             "pipe"}) {
      QTest::newRow(what) << QString::fromLatin1(what);
    }
  }
  void whatIsNoRunStays() {
    QFETCH(QString, what);
    const TempFolder temp;
    fs::path path = temp.run("holiday pictures"), precious = path / "thesis.tex";
    write(precious);
    if (what.startsWith(QLatin1String("text"))) {
      path = precious = temp.path() / what.toStdString();
      write(path);
    } else if (what == QLatin1String("pipe")) {
      path = temp.path() / "pipe";
      QCOMPARE(::mkfifo(path.c_str(), 0600), 0);
    } else if (what == QLatin1String("empty run.sqlite")) {
      write(path / "run.sqlite", "");
    } else if (what == QLatin1String("other database")) {
      storage::Database(path / "run.sqlite", storage::Database::Mode::kCreate)
          .execute("CREATE TABLE run (a)");
    } else if (what == QLatin1String("empty spec")) {
      write(path / "spec.toml", "");
    } else if (what == QLatin1String("foreign spec")) {
      write(path / "spec.toml", "[run]\nspeed = 7\n[engine]\ncylinders = 6\n");
    }
    const std::string sentence = refusal(path);
    QVERIFY2(sentence.find("nothing was removed") != std::string::npos, sentence.c_str());
    QVERIFY(fs::exists(path));
    QVERIFY(fs::exists(precious));
    QVERIFY(!fs::exists(path / "run.lock"));
  }

  /// A run that was put into a folder with other things takes nothing of them with it.
  void otherFilesStay() {
    const TempFolder temp;
    const fs::path folder = whole_run(temp, "home"), elsewhere = temp.run("elsewhere");
    write(folder / "thesis.tex");
    write(folder / "checkpoints" / "best.pth");
    write(folder / "logs.old" / "a");
    write(elsewhere / "rank0.log");
    fs::remove_all(folder / "logs");
    fs::create_directory_symlink(elsewhere, folder / "logs");
    const std::vector<fs::path> left = storage::remove_run(folder);
    QCOMPARE(left.size(), std::size_t{3});
    QVERIFY(fs::exists(folder / "thesis.tex"));
    QVERIFY(fs::exists(folder / "checkpoints" / "best.pth"));
    QVERIFY(fs::exists(folder / "logs.old" / "a"));
    QVERIFY(fs::exists(elsewhere / "rank0.log"));
    QVERIFY(!fs::exists(folder / "run.sqlite"));
    QVERIFY(!fs::exists(folder / "logs"));
    QVERIFY(!fs::exists(folder / "checkpoints" / "step-00000010-segment-0.ckpt"));
  }

  void aLinkedRunGoesWithItsLink() {
    const TempFolder temp;
    const fs::path folder = whole_run(temp, "r"), link = temp.path() / "link";
    fs::create_directory_symlink(folder, link);
    QVERIFY(storage::remove_run(link).empty());
    QVERIFY(!fs::exists(folder));
    QVERIFY(!fs::is_symlink(link));
  }
};

BATCHSCOPE_TEST(TestRunRemoval)
#include "tst_run_removal.moc"
