#include "app/run_report.h"
#include "app/run_watch.h"
#include "app/runs_commands.h"
#include "app/terminal_text.h"
#include "engine/contract/error.h"
#include "storage/run_lock.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QFile>
#include <QtTest>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <sstream>
#include <thread>

using namespace batchscope;
using namespace batchscope::test;
using contract::RunState;
using nlohmann::json;
using storage::RunWriter;

namespace {

namespace fs = std::filesystem;

/// Output of `batchscope-engine ARGS…`.
std::string output(const std::vector<std::string>& arguments) {
  CLI::App program("batchscope-engine");
  std::ostringstream out;
  app::add_runs_commands(program, out);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  program.parse(reversed);
  return out.str();
}

/// The sentence and exit code of a refusal.
std::string refusal(const std::vector<std::string>& arguments) {
  try {
    return "0 " + output(arguments);
  } catch (const contract::Error& error) {
    return std::to_string(static_cast<int>(error.code())) + " " + error.what();
  }
}

contract::StatusReport running(std::int64_t step) {
  contract::StatusReport report;
  report.state = RunState::kRunning;
  report.step = step;
  report.steps = 300;
  report.images = step * 128;
  report.optimizer = "lamb";
  report.agvm = true;
  report.micro = 2;
  report.accumulation = 32;
  report.ranks = 2;
  report.phase = "training";
  return report;
}

/// A run of 40 rows, an undo at 30 from 35, an evaluation and an event; not finished.
std::unique_ptr<RunWriter> make_run(const fs::path& library,
                                    const std::string& id,
                                    const std::string& name) {
  contract::RunInfo info = make_info(id);
  info.name = name;
  info.spec_toml = "[run]\nname = \"" + name + "\"\nseed = 3\n";
  fs::create_directories(library / id);
  auto writer = std::make_unique<RunWriter>(library / id, info, false);
  writer->add_series({make_series("loss"),
                      make_series("lr"),
                      make_series("images_per_s"),
                      make_series("d/backbone"),
                      make_series("mu/backbone")});
  writer->segment({0, -1, 0, 30, "start"});
  for (int i = 1; i <= 35; ++i) {
    writer->step(make_step(i, {{0, 4.0 / i}, {1, 0.5}, {2, 128.0}}));
  }
  writer->segment({1, 0, 30, -1, "undo"});
  for (int i = 31; i <= 40; ++i) {
    writer->step(
        make_step(5 + i, {{0, 4.0 / i}, {1, 0.25}, {2, 64.0}, {3, 0.001}, {4, 1.5}}, 1, i));
  }
  writer->event({1, 30, 0, "2026-11-20T22:40:00.000Z", "undo", "user", "back to step 30", {}});
  writer->eval({1, 40, 5120, 20, 512, 1, {{"AP", 0.25}, {"AP50", 0.5}, {"APs", std::nan("")}}});
  writer->status(running(40));
  writer->commit();
  return writer;
}

/// What is written, and from any thread how many lines of it there are.
class LineCounter : public std::stringbuf {
 public:
  int lines() const { return lines_; }

 protected:
  int sync() override {  // at the end of each line
    const std::string text = str();
    lines_ = static_cast<int>(std::count(text.begin(), text.end(), '\n'));
    return 0;
  }

 private:
  std::atomic<int> lines_{0};
};

}  // namespace

class TestRunsCommands : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void listGivesThePromisedKeys() {
    const TempFolder temp;
    make_run(temp.path(), "aaaa00000001", "one")->finish(RunState::kFinished, 0);
    make_run(temp.path(), "bbbb00000002", "two").reset();
    const json runs = json::parse(output({"runs", "list", "--json", "--library", temp.path()}));
    QVERIFY(runs.is_array());
    QCOMPARE(runs.size(), std::size_t{2});
    for (const json& run : runs) {
      for (const char* key : {"id",
                              "name",
                              "status",
                              "step",
                              "steps",
                              "images",
                              "optimizer",
                              "effective_batch",
                              "started",
                              "metrics",
                              "evidence"}) {
        QVERIFY2(run.contains(key), key);
      }
      QCOMPARE(run["step"].get<int>(), 40);
      QCOMPARE(run["steps"].get<int>(), 300);
      QCOMPARE(run["images"].get<int>(), 5120);
      QVERIFY(run["optimizer"] == "lamb + agvm");
      QCOMPARE(run["effective_batch"].get<int>(), 128);
      QVERIFY(run["started"] == "2026-11-20T22:30:00.123Z");
      QCOMPARE(run["metrics"]["AP"].get<double>(), 0.25);
      QVERIFY(run["metrics"]["APs"] == "nan");
    }
    const json& finished = runs[0]["id"] == "aaaa00000001" ? runs[0] : runs[1];
    QVERIFY(finished["status"] == "finished");
    const std::string table = output({"runs", "list", "--library", temp.path()});
    QVERIFY2(table.find("aaaa00000001  one ") != std::string::npos, table.c_str());
    QVERIFY(table.find("AP 0.25") != std::string::npos);
    QVERIFY(json::parse(output({"runs", "list", "--json", "--library", temp.path() / "none"})) ==
            json::array());
  }

  void listNamesTheResult() {
    const TempFolder temp;
    const auto evaluated = [&](const char* id, const std::map<std::string, double>& metrics) {
      const auto writer = make_run(temp.path(), id, id);
      writer->eval({1, 40, 5120, 21, 512, 1, metrics});
      writer->finish(RunState::kFinished, 0);
    };
    evaluated("aaaa00000001", {{"AP", 0.25}, {"mIoU", 0.75}, {"PQ", 0.5}});
    evaluated("bbbb00000002", {{"mIoU", 0.75}});
    const std::string table = output({"runs", "list", "--library", temp.path()});
    const std::size_t second = table.find("bbbb00000002  ");
    const std::size_t first = table.find("aaaa00000001  ");
    QVERIFY2(table.find("  PQ 0.5 ", first) != std::string::npos, table.c_str());
    QVERIFY2(table.find("  mIoU 0.75 ", second) != std::string::npos, table.c_str());
    QVERIFY2(table.find("AP ") == std::string::npos, table.c_str());
  }

  void showGivesOneObject() {
    const TempFolder temp;
    const auto writer = make_run(temp.path(), "aaaa00000001", "one");
    const storage::RunLock lock(temp.path() / "aaaa00000001");
    const json run =
        json::parse(output({"runs", "show", "one", "--json", "--library", temp.path()}));
    QVERIFY(run["status"] == "running");
    QVERIFY(run["modules"] == json({"backbone", "neck"}));
    QCOMPARE(run["rows"].get<int>(), 45);
    QCOMPARE(run["series"].size(), std::size_t{5});
    QVERIFY(run["events"][0]["kind"] == "undo");
    QVERIFY(run["evaluations"][0]["metrics"]["AP50"] == 0.5);
    QVERIFY(run["exit_code"].is_null());
    const std::string text = output({"runs", "show", "aaaa", "--library", temp.path()});
    QVERIFY2(text.find("running (lock held, heartbeat") != std::string::npos, text.c_str());
    QVERIFY(text.find("back to step 30") != std::string::npos);
  }

  void aFigureOfNothingIsADash() {
    const TempFolder temp;
    const auto writer = make_run(temp.path(), "aaaa00000001", "one");
    writer->eval({1, 40, 5120, 21, 512, 1, {{"AP", -1}, {"AP50", 0}, {"APl", -1}}});
    writer->finish(RunState::kFinished, 0);
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"show", "aaaa"}, {"watch", "aaaa", "--once"}}) {
      std::vector<std::string> all = {"runs"};
      all.insert(all.end(), command.begin(), command.end());
      all.insert(all.end(), {"--library", temp.path()});
      const std::string text = output(all);
      QVERIFY2(text.find("AP -") != std::string::npos && text.find("AP50 0") != std::string::npos &&
                   text.find("-1") == text.find("-11-"),  // a date's alone
               text.c_str());
    }
    const json shown =
        json::parse(output({"runs", "show", "one", "--json", "--library", temp.path()}));
    QCOMPARE(shown["evaluations"].back()["metrics"]["AP"].get<double>(), -1.0);
  }

  void badReferencesAreUsageErrors() {
    const TempFolder temp;
    make_run(temp.path(), "aaaa00000001", "same").reset();
    make_run(temp.path(), "aaaa00000002", "same").reset();
    const std::string both = refusal({"runs", "show", "same", "--library", temp.path()});
    QVERIFY2(both.starts_with("2 ") && both.find("aaaa00000001") != std::string::npos &&
                 both.find("aaaa00000002") != std::string::npos,
             both.c_str());
    QVERIFY(refusal({"runs", "check", "zz", "--library", temp.path()}).starts_with("2 "));
    QVERIFY_THROWS_EXCEPTION(CLI::ParseError, output({"runs", "export", "same"}));
    QVERIFY_THROWS_EXCEPTION(CLI::ParseError, output({"runs"}));
  }

  void exportImportCheckRemove() {
    const TempFolder temp;
    const fs::path library = temp.path() / "library", other = temp.path() / "other";
    auto writer = make_run(library, "aaaa00000001", "one");
    const std::string csv = temp.path() / "one.csv", bundle = temp.path() / "one.bscope";
    QCOMPARE(output({"runs", "export", "one", "--library", library, "--out", csv}),
             csv + ": 40 rows\n");
    QFile file(QString::fromStdString(csv));
    QVERIFY(file.open(QIODevice::ReadOnly));
    const QList<QByteArray> lines = file.readAll().split('\n');
    QCOMPARE(lines[0],
             QByteArray("step,images,seconds,lr,loss,images_per_s,d/backbone,mu/backbone"));
    QCOMPARE(lines[31], QByteArray("31,3968,18,0.25,0.12903225806451613,64,0.001,1.5"));
    QCOMPARE(lines.size(), 42);
    {
      const storage::RunLock lock(library / "aaaa00000001");
      QVERIFY(refusal({"runs", "rm", "one", "--library", library}).starts_with("4 "));
      QVERIFY(refusal({"runs",
                       "export",
                       "one",
                       "--format",
                       "bscope",
                       "--library",
                       library,
                       "--out",
                       bundle})
                  .starts_with("4 "));
    }
    writer->finish(RunState::kFinished, 0);
    output({"runs", "export", "one", "--format", "bscope", "--library", library, "--out", bundle});
    QCOMPARE(output({"runs", "import", bundle, "--library", other}),
             (other / "aaaa00000001").string() + "\n");
    QVERIFY(output({"runs", "check", "one", "--library", other}).starts_with("whole: 45 rows"));
    output({"runs", "rm", "one", "--library", other});
    QVERIFY(json::parse(output({"runs", "list", "--json", "--library", other})).empty());
    fs::resize_file(library / "aaaa00000001" / "run.sqlite", 30000);
    QVERIFY(refusal({"runs", "check", "one", "--library", library}).starts_with("2 ") ||
            refusal({"runs", "check", "aaaa00000001", "--library", library}).starts_with("4 "));
  }

  /// What the record says of saved states against what lies in the folder.
  void checkComparesTheStates() {
    const TempFolder temp;
    const fs::path folder = temp.path() / "aaaa00000001", states = folder / "checkpoints";
    auto writer = make_run(temp.path(), "aaaa00000001", "one");
    fs::create_directories(states);
    const auto save = [&](const std::string& name, const std::string& kind) {
      std::ofstream(states / name) << "12345";
      writer->checkpoint({0, 10, "checkpoints/" + name, kind, 5});
    };
    save("step-10.ckpt", "checkpoint");
    save("step-20.ckpt", "checkpoint");
    save("restore-1.ckpt", "restore_point");
    std::ofstream(states / "step-30.ckpt") << "12345";
    std::ofstream(states / "step-40.ckpt.part") << "1";
    writer->finish(RunState::kFinished, 0);
    std::vector<std::string> looked_at;
    const auto run_check = [&](const app::StateCheck& problem_of) {
      CLI::App program("batchscope-engine");
      std::ostringstream out;
      app::add_runs_commands(program, out, problem_of);
      std::vector<std::string> arguments = {temp.path(), "--library", "one", "check", "runs"};
      try {
        program.parse(arguments);
        return "0 " + out.str();
      } catch (const contract::Error& error) {
        return std::to_string(static_cast<int>(error.code())) + " " + out.str() + error.what();
      }
    };
    const std::string whole = run_check([&](const fs::path& file) {
      looked_at.push_back(file.filename());
      return std::string();
    });
    QVERIFY2(whole.starts_with("0 ") &&
                 whole.find("checkpoints: 3 whole, 2 not in the record") != std::string::npos &&
                 whole.find("not in the record: " + (states / "step-30.ckpt").string()) !=
                     std::string::npos,
             whole.c_str());
    QCOMPARE(looked_at.size(), std::size_t{3});
    {
      const storage::RunLock lock(folder);  // they may be on their way into the record
      QVERIFY(run_check({}).find("3 whole, 0 not in the record") != std::string::npos);
    }
    fs::remove(states / "step-10.ckpt");
    fs::resize_file(states / "step-20.ckpt", 3);
    {
      RunWriter more(folder, {}, true);
      more.checkpoint({0, 1, "../../thesis.tex", "checkpoint", 5});
      more.finish(RunState::kFinished, 0);
    }
    const std::string damaged =
        run_check([](const fs::path&) { return std::string("the checksum does not match"); });
    for (const char* part : {"4 ",
                             "step-10.ckpt' is in the record and not in the folder",
                             "step-20.ckpt' has 3 bytes, expected 5",
                             "../../thesis.tex' of the",
                             "the checksum does not match",
                             "4 problems"}) {
      QVERIFY2(damaged.find(part) != std::string::npos, damaged.c_str());
    }
  }

  void diffShowsTheSettings() {
    const TempFolder temp;
    make_run(temp.path(), "aaaa00000001", "one").reset();
    make_run(temp.path(), "bbbb00000002", "two").reset();
    const json same =
        json::parse(output({"runs", "diff", "one", "two", "--json", "--library", temp.path()}));
    QCOMPARE(same.size(), std::size_t{1});
    QVERIFY(same[0]["key"] == "run.name");
    QVERIFY(same[0]["b"].get<std::string>().find("two") != std::string::npos);
  }

  void watchDrawsAFrame() {
    const TempFolder temp;
    const auto writer = make_run(temp.path(), "aaaa00000001", "one");
    const storage::RunLock lock(temp.path() / "aaaa00000001");
    app::WatchedRun run(temp.path() / "aaaa00000001");
    const std::string frame = run.frame(80, false);
    for (const char* part : {"one (aaaa00000001)",
                             "running: training, lock held",
                             " 13 %  step 40/300",
                             "64 images/s",
                             "lamb + agvm  lr 0.25  batch 2 x 32 x 2 = 128",
                             "loss  0.1 ",
                             "backbone         0.001         1.5",
                             "AP 0.25  AP50 0.5",
                             "22:40:00  step 30  undo (user)  back to step 30"}) {
      QVERIFY2(frame.find(part) != std::string::npos,
               (std::string(part) + "\nin\n" + frame).c_str());
    }
    for (const QString& line :
         QString::fromStdString(run.frame(60, true)).split(QLatin1Char('\n'))) {
      QVERIFY2(line.size() <= 60, qPrintable(line));
    }
    QVERIFY(!run.over());
    writer->step(make_step(46, {{0, std::nan("")}}, 1, 41));
    writer->status(running(41));
    writer->commit();
    run.update();
    QVERIFY(run.frame(80, false).find("loss  nan ") != std::string::npos);
    QVERIFY(run.line().find("step 41/300") != std::string::npos);
  }

  void troubleIsShownWhileItLasts() {
    const TempFolder temp;
    auto writer = make_run(temp.path(), "aaaa00000001", "one");
    auto lock = std::make_unique<storage::RunLock>(temp.path() / "aaaa00000001");
    contract::StatusReport report = running(40);
    report.lr = 0.5;
    report.lr_in_use = 0.0625;
    report.trouble = "Rank 1 has been silent for 20 s.";
    writer->status(report);
    writer->commit();
    const auto run = [&](const std::vector<std::string>& words) {
      std::vector<std::string> arguments = {"runs"};
      arguments.insert(arguments.end(), words.begin(), words.end());
      arguments.insert(arguments.end(), {"--library", temp.path()});
      return output(arguments);
    };
    const std::vector<std::vector<std::string>> views = {
        {"list"}, {"show", "one"}, {"watch", "one", "--once"}, {"list", "--json"}};
    for (const auto& view : views) {
      QVERIFY2(run(view).find(report.trouble) != std::string::npos, run(view).c_str());
    }
    const json shown = json::parse(run({"show", "one", "--json"}));
    QVERIFY(shown["trouble"] == report.trouble);
    QCOMPARE(shown["lr"].get<double>(), 0.5);
    QCOMPARE(shown["lr_in_use"].get<double>(), 0.0625);
    QVERIFY(app::WatchedRun(temp.path() / "aaaa00000001").line().find(report.trouble) !=
            std::string::npos);
    lock.reset();  // the process ends: what it said is no trouble of now
    writer->finish(RunState::kFailed, 4);
    for (const auto& view : views) {
      QVERIFY2(run(view).find(report.trouble) == std::string::npos, run(view).c_str());
    }
  }

  void watchEndsWithTheRun() {
    const TempFolder temp;
    auto writer = make_run(temp.path(), "aaaa00000001", "one");
    auto lock = std::make_unique<storage::RunLock>(temp.path() / "aaaa00000001");
    const std::string once = output({"runs", "watch", "one", "--once", "--library", temp.path()});
    QVERIFY(once.find("step 40/300") != std::string::npos);
    QVERIFY(once.find('\x1b') == std::string::npos);
    LineCounter written;
    std::thread training([&writer, &written] {
      while (written.lines() < 4) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      writer->event({1, 40, 0, "2026-11-20T22:50:00.000Z", "finish", "engine", "the end", {}});
      writer->finish(RunState::kFinished, 0);
    });
    std::ostream out(&written);
    app::WatchOptions options;
    options.plain_seconds = 0.05;
    app::watch_run(temp.path() / "aaaa00000001", options, false, out);
    training.join();
    const std::string text = written.str();
    const QStringList lines =
        QString::fromStdString(text).split(QLatin1Char('\n'), Qt::SkipEmptyParts);
    QVERIFY2(lines.size() >= 5, text.c_str());
    QVERIFY(lines[1].startsWith(QStringLiteral("running  step 40/300  images 5120  loss 0.1")));
    QVERIFY(text.find("finish (engine)  the end\nfinished  step 40/300") != std::string::npos);
    QCOMPARE(lines.last(), QStringLiteral("ended with exit code 0, lock still held"));
    QCOMPARE(text.find("back to step 30"), text.rfind("back to step 30"));
  }

  /// Names, texts and ids of a stranger's run steer no terminal and fake no line.
  void nothingStoredSteersTheTerminal() {
    const std::string evil = "\x1b]0;owned\x07\r\xc2\x9b\x32J\xe2\x80\xae\x7f\nrm -rf\xff";
    const TempFolder temp;
    const fs::path folder = temp.path() / "aaaa00000001";
    fs::create_directories(folder);
    contract::RunInfo info = make_info("aaaa00000001");
    info.name = info.device = info.host = info.started = evil;
    info.modules = {evil};
    {
      RunWriter writer(folder, info, false);
      writer.add_series({make_series("loss"), make_series("d/" + evil)});
      writer.step(make_step(1, {{0, 1.0}, {1, 2.0}}));
      writer.event({0, 1, 0, evil, evil, evil, evil, {{evil, evil}}});
      writer.eval({0, 1, 8, 1, 8, 1, {{evil, 0.5}, {"AP", 0.5}}});
      contract::StatusReport report = running(1);
      report.optimizer = report.phase = evil;
      writer.status(report);
      writer.commit();
    }
    for (const std::vector<std::string>& words : {std::vector<std::string>{"list"},
                                                  {"list", "--json"},
                                                  {"show", "aaaa"},
                                                  {"show", "aaaa", "--json"},
                                                  {"watch", "aaaa", "--once"},
                                                  {"check", "aaaa"},
                                                  {"diff", "aaaa", "aaaa"}}) {
      std::vector<std::string> arguments = {"runs"};
      arguments.insert(arguments.end(), words.begin(), words.end());
      arguments.insert(arguments.end(), {"--library", temp.path()});
      const std::string text = output(arguments);
      QCOMPARE(app::printable_lines(text), text);
      QVERIFY2(text.find("\nrm") == std::string::npos, text.c_str());
      if (words.back() == "--json") {
        const json read = json::parse(text);
        const json& run = read.is_array() ? read[0] : read;
        QCOMPARE(run["name"].get<std::string>(),
                 evil.substr(0, evil.size() - 1) + "\xef\xbf\xbd");  // a byte that is no UTF-8
      }
    }
    app::WatchedRun watched(folder);
    QCOMPARE(app::printable_lines(watched.line()), watched.line());
  }

  void textIsPrintable() {
    QCOMPARE(app::printable("Größe 1 · λ 漢 🙂"), std::string("Größe 1 · λ 漢 🙂"));
    QCOMPARE(app::printable("a\x1b[2Jb\n\tc"), std::string("a\\x1b[2Jb  c"));
    QCOMPARE(app::printable_lines("a\n\tb\r"), std::string("a\n\tb\\x0d"));
    QCOMPARE(app::printable("\xc2\x9b\xe2\x80\xae"), std::string("\\x9b\\u202e"));
    // No UTF-8: a lead alone, too long a form, half a pair, beyond the last character.
    QCOMPARE(app::printable("\xc3"), std::string("\\xc3"));
    QCOMPARE(app::printable("\xc0\x9b"), std::string("\\xc0\\x9b"));
    QCOMPARE(app::printable("\xed\xa0\x80"), std::string("\\xed\\xa0\\x80"));
    QCOMPARE(app::printable("\xf5\x80\x80\x80"), std::string("\\xf5\\x80\\x80\\x80"));
    QCOMPARE(app::printable_json("\"\xc2\x9b\""), std::string("\"\\u009b\""));
  }

  void sparklines() {
    QCOMPARE(app::sparkline({}, 10, true), std::string());
    QCOMPARE(app::sparkline({0, 1, 2, 3, 4, 5, 6, 7}, 8, true), std::string("▁▂▃▄▅▆▇█"));
    QCOMPARE(app::sparkline({7, 0}, 8, false), std::string("#_"));
    QCOMPARE(app::sparkline({1, 1, 1}, 8, false), std::string("==="));
    QCOMPARE(app::sparkline({1, std::nan(""), 3}, 3, false), std::string("_!#"));
    QCOMPARE(app::sparkline(std::vector<double>(1000, 2.0), 20, false).size(), std::size_t{20});
  }

  void textsFit() {
    QCOMPARE(app::fitted("ab", 4), std::string("ab  "));
    QCOMPARE(app::fitted("abcdef", 4), std::string("ab… "));
    QCOMPARE(app::fitted("größer", 4), std::string("gr… "));
    QCOMPARE(app::short_number(1.0 / 3), std::string("0.333333"));
    QCOMPARE(app::figure_text(-1), std::string("-"));
    QCOMPARE(app::figure_text(0), std::string("0.0000"));
    QCOMPARE(app::short_figure(0), std::string("0"));
    QCOMPARE(app::short_number(-std::numeric_limits<double>::infinity()), std::string("-inf"));
  }
};

BATCHSCOPE_TEST(TestRunsCommands)
#include "tst_runs_commands.moc"
