#include "tests/support/test_program.h"
#include "tests/support/toy_training.h"

#include <QTemporaryDir>
#include <QtTest>

#include <fstream>

using namespace batchscope;
using namespace batchscope::testing;
namespace fs = std::filesystem;

namespace {

contract::RunSpec spec_of(const std::string& optimizer, std::int64_t steps) {
  contract::RunSpec spec = toy_spec(optimizer, steps);
  spec.batch.accumulation = 2;
  spec.optim.agvm.enabled = true;
  spec.optim.agvm.start = 2;
  spec.optim.agvm.interval = 2;
  spec.optim.pmd.period = 7;
  spec.checkpoint.every_steps = 6;
  return spec;
}

fs::path only_checkpoint(const fs::path& folder, const std::string& step) {
  for (const auto& entry : fs::directory_iterator(folder / "checkpoints")) {
    if (entry.path().filename().string().starts_with("step-000000" + step)) {
      return entry.path();
    }
  }
  return {};
}

std::vector<torch::Tensor> optimizer_state(const train::Trainer& trainer) {
  std::vector<torch::Tensor> state;
  for (const auto& [name, tensor] : trainer.optimizer().save()) {
    state.push_back(tensor.clone());
  }
  for (const auto& [name, tensor] : trainer.agvm().save()) {
    state.push_back(tensor.clone());
  }
  return state;
}

}  // namespace

class TestCheckpoint : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void stopAndResumeIsBitEqual_data() {
    QTest::addColumn<QString>("optimizer");
    for (const char* name : {"sgd", "adamw", "lars", "lamb", "pmd_lamb"}) {
      QTest::newRow(name) << QString::fromLatin1(name);
    }
  }
  void stopAndResumeIsBitEqual() {
    QFETCH(QString, optimizer);
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = spec_of(optimizer.toStdString(), 18);
    spec.checkpoint.keep = 9;
    // A switch just before the checkpoint: the mapping of its learning rate is pending in it, and a
    // ramp is under way in the next.
    spec.events = {{6, contract::make_command("optimizer", {{"optim.momentum", "0.8"}})},
                   {9, contract::make_command("lr", {{"value", "0.02"}})}};
    ToyRun whole = toy_run(spec, nullptr, torch::kFloat32, place);
    whole.trainer->run();
    for (const std::string step : {"06", "12"}) {
      const fs::path file = only_checkpoint(place, step);
      QVERIFY(!file.empty());
      train::ResumePoint point{file, 100, 7, "Goes on."};
      QTemporaryDir other;
      ToyRun rest = toy_run(spec, nullptr, torch::kFloat32, other.path().toStdString(), point);
      rest.trainer->run();
      QCOMPARE(rest.trainer->state().step, 18);
      QCOMPARE(rest.sink->rows.front().seq, 100);
      QCOMPARE(rest.sink->rows.front().segment, 7);
      QCOMPARE(rest.sink->segments.at(7).parent, 0);
      QCOMPARE(rest.sink->segments.at(7).reason, std::string("resume"));
      QVERIFY(equal_bits(weights(*whole.model), weights(*rest.model)));
      QVERIFY(equal_bits(optimizer_state(*whole.trainer), optimizer_state(*rest.trainer)));
      const auto& a = whole.sink->rows.back();
      const auto& b = rest.sink->rows.back();
      QCOMPARE(whole.sink->value(a, "loss"), rest.sink->value(b, "loss"));
      QCOMPARE(whole.sink->value(a, "lr"), rest.sink->value(b, "lr"));
    }
  }

  void undoIsBitEqual() {
    QTemporaryDir folder;
    ToyRun run = toy_run(spec_of("sgd", 40), nullptr, torch::kFloat32, folder.path().toStdString());
    train::Trainer& trainer = *run.trainer;
    trainer.begin();
    const auto steps = [&](int count) {
      for (int i = 0; i < count; ++i) {
        trainer.step();
      }
    };
    steps(5);
    const auto at5 = weights(*run.model);
    const auto state5 = optimizer_state(trainer);
    QVERIFY(trainer.apply(contract::OptimizerCommand{.name = "lamb", .lr = 0.02}, "user").ok);
    steps(4);
    const auto at9 = weights(*run.model);
    QVERIFY(trainer.apply(contract::LrCommand{0.5}, "user").ok);
    steps(3);
    QVERIFY(!equal_bits(at9, weights(*run.model)));

    contract::Reply reply = trainer.apply(contract::UndoCommand{}, "user");
    QVERIFY2(reply.ok, reply.error.c_str());
    QCOMPARE(reply.step, 9);
    QCOMPARE(trainer.state().step, 9);
    QCOMPARE(trainer.state().segment, 1);
    QVERIFY(equal_bits(at9, weights(*run.model)));
    QCOMPARE(trainer.status().lr, 0.02);
    QCOMPARE(run.sink->segments.at(0).abandoned_after, 9);
    steps(2);
    QCOMPARE(run.sink->rows.back().segment, 1);
    QCOMPARE(run.sink->rows.back().step, 11);
    QCOMPARE(run.sink->rows.back().seq, 14);

    reply = trainer.apply(contract::UndoCommand{}, "user");
    QCOMPARE(reply.step, 5);
    QCOMPARE(trainer.state().spec.optim.name, std::string("sgd"));
    QCOMPARE(trainer.state().segment, 2);
    QVERIFY(equal_bits(at5, weights(*run.model)));
    QVERIFY(equal_bits(state5, optimizer_state(trainer)));
    QCOMPARE(run.sink->segments.at(0).abandoned_after, 5);
    QCOMPARE(run.sink->segments.at(1).abandoned_after, 9);
    QCOMPARE(run.sink->segments.at(2).parent, 0);
    QCOMPARE(run.sink->segments.at(2).start_step, 5);

    reply = trainer.apply(contract::UndoCommand{}, "user");
    QVERIFY(!reply.ok);
    QCOMPARE(reply.error, std::string("There is nothing to undo: no change was made."));
    // What follows is what would have followed without the change.
    ToyRun plain = toy_run(spec_of("sgd", 40));
    plain.trainer->begin();
    for (int i = 0; i < 10; ++i) {
      plain.trainer->step();
    }
    steps(5);
    QVERIFY(equal_bits(weights(*plain.model), weights(*run.model)));
  }

  void oldFilesArePruned() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = spec_of("sgd", 20);
    spec.checkpoint.every_steps = 4;
    spec.checkpoint.keep = 2;
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    run.trainer->run();
    QCOMPARE(run.sink->checkpoints.size(), std::size_t{5});
    QCOMPARE(run.sink->removed.size(), std::size_t{3});
    QVERIFY(only_checkpoint(place, "12").empty());
    QVERIFY(!only_checkpoint(place, "16").empty());
    QVERIFY(!only_checkpoint(place, "20").empty());
  }

  void otherDataIsRefused() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    ToyRun run = toy_run(spec_of("sgd", 6), nullptr, torch::kFloat32, place);
    run.trainer->run();
    const fs::path file = only_checkpoint(place, "06");
    const std::string bytes = train::read_bytes(file);
    std::ofstream(file, std::ios::binary) << bytes.substr(0, bytes.size() / 2);
    ToyRun rest = toy_run(
        spec_of("sgd", 12), nullptr, torch::kFloat32, place, train::ResumePoint{file, 1, 1, ""});
    QVERIFY_THROWS_EXCEPTION(contract::DataError, rest.trainer->begin());
  }
};

BATCHSCOPE_TEST(TestCheckpoint)
#include "tst_checkpoint.moc"
