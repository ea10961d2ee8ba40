#include "app/run_fork.h"
#include "app/run_settings.h"
#include "engine/contract/error.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <sys/stat.h>

using namespace batchscope;
using namespace batchscope::test;
using storage::RunWriter;

namespace {

namespace fs = std::filesystem;

/// The sentence of a refusal; empty: there was none.
template <class Work>
std::string refusal(Work work) {
  try {
    work();
  } catch (const contract::Error& error) {
    return error.what();
  }
  return "";
}

/// A stored run of 40 updates with checkpoints at 10 and 30, a change of the learning rate after
/// update 20, an accumulation after update 30 that was undone at 34, and a switch after update 36.
class Sample {
 public:
  Sample() : library(places_.path() / "library"), folder(library / "0123456789ab") {
    fs::create_directories(folder / "checkpoints");
    contract::RunInfo info = make_info();
    info.name = "sample";
    contract::RunSpec spec;
    spec.run.name = "sample";
    spec.run.seed = 7;
    spec.events = {{15, contract::make_command("lr", {{"value", "0.07"}})}};
    info.spec_toml = contract::to_toml(spec);
    info.parent_run.clear();
    info.parent_step = 0;
    RunWriter writer(folder, info, false);
    writer.add_series({make_series("lr"), make_series("loss")});
    writer.segment({0, -1, 0, 30, "start"});
    std::int64_t seq = 0;
    const auto rows = [&](std::int64_t segment, std::int64_t first, std::int64_t last) {
      for (std::int64_t step = first; step <= last; ++step) {
        writer.step(make_step(
            ++seq, {{0, 0.1}, {1, 100.0 * double(segment) + double(step)}}, segment, step));
      }
    };
    const auto event = [&](std::int64_t segment,
                           std::int64_t step,
                           const std::string& kind,
                           const std::string& source,
                           std::map<std::string, std::string> args,
                           const std::string& text = "") {
      writer.event({segment, step, seq, "", kind, source, text, std::move(args)});
    };
    const auto state = [&](std::int64_t segment,
                           std::int64_t step,
                           const std::string& file,
                           const std::string& kind) {
      std::ofstream(folder / file) << file;
      writer.checkpoint({segment, step, file, kind, 9});
    };
    rows(0, 1, 10);
    state(0, 10, "checkpoints/a", "checkpoint");
    rows(0, 11, 15);
    event(0, 15, "lr", "spec", {{"value", "0.07"}, {"old", "0.08"}, {"new", "0.07"}});
    rows(0, 16, 20);
    event(0, 20, "lr", "user", {{"value", "0.05"}, {"old", "0.07"}, {"new", "0.05"}});
    rows(0, 21, 30);
    state(0, 30, "checkpoints/restore", "restore_point");
    event(0, 30, "restore_point", "engine", {{"file", "checkpoints/restore"}}, "\"accumulation\"");
    event(0, 30, "accumulation", "user", {{"value", "4"}, {"old", "1"}, {"new", "4"}});
    rows(0, 31, 34);
    writer.segment({1, 0, 30, -1, "undo"});
    event(1, 30, "undo", "user", {{"change", "accumulation"}});
    rows(1, 31, 36);
    event(1,
          36,
          "optimizer",
          "user",
          {{"name", "lamb"},
           {"state", "carry"},
           {"lr_mapping", "target_now"},
           {"decay_mapping", "match"},
           {"old", "sgd"},
           {"new", "lamb"},
           {"old_lr", "0.05"},
           {"new_lr", "0.01"},
           {"old_weight_decay", "0.0001"},
           {"new_weight_decay", "0.002"}});
    rows(1, 37, 40);
    writer.finish(contract::RunState::kFinished, 0);
  }

  TempFolder places_;
  fs::path library, folder;
};

}  // namespace

class TestRunFork : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void originIsTheNewestStateBefore() {
    const Sample sample;
    const app::RunOrigin exact = app::find_origin(sample.folder, 30);
    QCOMPARE(exact.file, std::string("checkpoints/restore"));
    QCOMPARE(exact.file_step, 30);
    QVERIFY(exact.changes.empty());
    QVERIFY(exact.losses.empty());
    QCOMPARE(exact.spec.optim.lr, 0.05);
    QCOMPARE(exact.spec.batch.accumulation, 1);

    const app::RunOrigin between = app::find_origin(sample.folder, 25);
    QCOMPARE(between.file, std::string("checkpoints/a"));
    QCOMPARE(between.file_step, 10);
    QCOMPARE(between.changes.size(), std::size_t(1));  // the spec's own is not told twice
    QCOMPARE(between.changes[0].step, 20);
    QCOMPARE(between.losses.size(), std::size_t(15));
    QCOMPARE(between.losses.front(), 11.0);
    QCOMPARE(between.losses.back(), 25.0);
    QCOMPARE(between.seconds, 12.5);

    const app::RunOrigin first = app::find_origin(sample.folder, 5);
    QVERIFY(first.file.empty());
    QCOMPARE(first.losses.size(), std::size_t(5));
    QCOMPARE(first.spec.optim.lr, 0.08);
  }

  void undoneAndLaterChangesAreNotTold() {
    const Sample sample;
    const app::RunOrigin late = app::find_origin(sample.folder, 38);
    QCOMPARE(late.file_step, 30);
    QCOMPARE(late.segment, 1);
    QCOMPARE(late.changes.size(), std::size_t(1));
    QCOMPARE(late.changes[0].step, 36);
    QCOMPARE(contract::command_name(late.changes[0].command), std::string("optimizer"));
    QCOMPARE(late.losses.front(), 131.0);  // of the line that counts
    QCOMPARE(late.spec.optim.name, std::string("lamb"));
    QCOMPARE(late.spec.optim.weight_decay, 0.002);
    // A change at the step itself is what a fork does otherwise.
    QVERIFY(app::find_origin(sample.folder, 36).changes.empty());
    const contract::RunSpec again = app::spec_with_changes(sample.folder);
    QCOMPARE(again.events.size(), std::size_t(3));
    QCOMPARE(again.events[0].step, 15);
    QCOMPARE(again.events[2].step, 36);
    QCOMPARE(contract::parse_spec(contract::to_toml(again)), again);
  }

  void refusalsSayWhatThereIs() {
    const Sample sample;
    const std::string beyond = refusal([&] { app::find_origin(sample.folder, 41); });
    QVERIFY2(beyond.find("from step 0 to 40") != std::string::npos, beyond.c_str());
    QVERIFY2(beyond.find("saved at steps 10, 30.") != std::string::npos, beyond.c_str());
    const app::RunOrigin origin = app::find_origin(sample.folder, 30);
    const auto refused = [&](const std::string& set) {
      return refusal([&] { app::prepare_fork(sample.library, origin, {"", {}, {set}}); });
    };
    for (const char* set :
         {"optim.lr=-1", "optim.name=adam", "data.size=64", "optim.pmd.perod=3"}) {
      const std::string text = set;
      const std::string sentence = refused(text);
      const std::string last = text.substr(text.rfind('.', text.find('=')) + 1);
      QVERIFY2(sentence.find(last.substr(0, last.find('='))) != std::string::npos,
               sentence.c_str());
    }
    QVERIFY(refused("model.norm=bn").find("runs rerun") != std::string::npos);
    // Nothing is left of what was refused.
    std::size_t folders = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(sample.library)) {
      ++folders;
    }
    QCOMPARE(folders, std::size_t(1));
  }

  void childHoldsAllThatItNeeds() {
    const Sample sample;
    app::ForkChild child{"", 3, {"optim.name=adamw", "optim.lr=0.002", "lr_mapping=rewarmup"}};
    const app::PreparedRun run =
        app::prepare_fork(sample.library, app::find_origin(sample.folder, 38), child);
    QCOMPARE(run.spec.optim.name, std::string("adamw"));
    QCOMPARE(run.spec.run.seed, 3);
    QCOMPARE(run.spec.run.name, std::string("sample · adamw, lr 0.002, seed 3"));
    app::ForkChild sibling = child;
    sibling.family = "trio";
    QCOMPARE(app::prepare_fork(sample.library, app::find_origin(sample.folder, 38), sibling)
                 .spec.run.name,
             std::string("trio · adamw, lr 0.002, seed 3"));
    const auto note = app::read_fork_note(run.folder);
    QVERIFY(note.has_value());
    QCOMPARE(note->parent, std::string("0123456789ab"));
    QCOMPARE(note->step, 38);
    QCOMPARE(note->seed, 7);
    QCOMPARE(note->changes.size(), std::size_t(1));
    QCOMPARE(note->losses.size(), std::size_t(8));
    QVERIFY(fs::exists(note->state));
    QCOMPARE(note->sets, child.sets);
    const auto commands = app::commands_for(note->sets);
    QCOMPARE(commands.size(), std::size_t(1));
    const auto& command = std::get<contract::OptimizerCommand>(commands[0]);
    QCOMPARE(command.lr_mapping, contract::LrMapping::kRewarmup);
    fs::remove_all(sample.folder);  // the parent's own file
    QVERIFY(fs::exists(note->state));
    QVERIFY(!app::read_fork_note(sample.library).has_value());
  }

  /// fork.json comes with a folder that anybody may have sent.
  void aDamagedNoteIsOneSentence_data() {
    QTest::addColumn<QByteArray>("patch");
    QTest::addColumn<QByteArray>("says");
    const auto row = [](const char* patch, const char* says) {
      QTest::newRow(patch) << QByteArray(patch) << QByteArray(says);
    };
    row("{\"parent\": 5}", "\"parent\" is 5, expected a text");
    row("{\"rerun\": \"no\"}", "\"rerun\" is \"no\", expected true or false");
    row("{\"step\": \"3\"}", "\"step\" is \"3\", expected a whole number");
    row("{\"step\": 1.5}", "\"step\" is 1.5, expected a whole number");
    row("{\"step\": 18446744073709551615}", "expected a whole number");
    row("{\"step\": -5}", "\"step\" is -5, expected 0 or more");
    row("{\"segment\": -1}", "expected 0 or more");
    row("{\"seed\": null}", "\"seed\" is missing");  // a patch takes it away
    row("{\"seconds\": []}", "\"seconds\" is [], expected a number");
    row("{\"sets\": {\"a\": \"b\"}}", "expected a list");
    row("{\"sets\": [1]}", "\"sets\" is [1], expected a list of texts");
    row("{\"losses\": [1, \"x\"]}", "expected a list of numbers");
    row("{\"losses\": 7}", "expected a list");
    row("{\"changes\": [7]}", "expected a list of objects");
    row("{\"changes\": [{\"step\": 1, \"command\": \"lr\", \"args\": [1]}]}",
        "\"changes[0].args\" is [1], expected an object of texts");
    row("{\"changes\": [{\"step\": 1, \"command\": \"dance\", \"args\": {}}]}", "dance");
    row("{\"spec\": \"[run\"}", "fork.json' is damaged");
    row("{\"state\": \"/home/me/thesis.tex\"}", "expected checkpoints/parent.ckpt");
    row("{\"state\": \"../../thesis.tex\"}", "expected checkpoints/parent.ckpt");
    row("no json", "it holds no JSON object");
    row("[]", "it holds no JSON object");
    row("", "it holds no JSON object");
    row("pipe", "it is no plain file");
  }
  void aDamagedNoteIsOneSentence() {
    QFETCH(QByteArray, patch);
    QFETCH(QByteArray, says);
    const Sample sample;
    const app::PreparedRun run = app::prepare_fork(
        sample.library, app::find_origin(sample.folder, 38), {"", 3, {"optim.lr=0.002"}});
    const fs::path file = run.folder / app::kForkFile;
    nlohmann::json note;
    std::ifstream(file) >> note;
    if (patch.startsWith('{')) {
      note.merge_patch(nlohmann::json::parse(patch.toStdString()));
      std::ofstream(file) << note;
    } else {
      fs::remove(file);
      if (patch == "pipe") {
        QCOMPARE(::mkfifo(file.c_str(), 0600), 0);
      } else {
        std::ofstream(file) << patch.toStdString();
      }
    }
    const std::string sentence = refusal([&] { app::read_fork_note(run.folder); });
    QVERIFY2(sentence.find(says.toStdString()) != std::string::npos, sentence.c_str());
    QVERIFY2(sentence.find(file.string()) != std::string::npos, sentence.c_str());
  }

  void settingsAreSplitAtTheRightCommas() {
    const std::vector<std::string> parts = {
        "optim.betas=[0.9, 0.99]", "run.name=\"a, b\"", "optim.lr=1"};
    QCOMPARE(app::split_sets("optim.betas=[0.9, 0.99], run.name=\"a, b\",optim.lr=1"), parts);
    QVERIFY(app::split_sets("").empty());
    QVERIFY(refusal([] { app::split_sets("lamb"); }).find("\"lamb\"") != std::string::npos);
  }
};

BATCHSCOPE_TEST(TestRunFork)
#include "tst_run_fork.moc"
