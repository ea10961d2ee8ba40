#include "engine/contract/error.h"
#include "engine/train/number_text.h"
#include "tests/support/test_program.h"
#include "tests/support/toy_training.h"

#include <torch/nn/functional/batchnorm.h>

#include <QTemporaryDir>
#include <QtTest>

#include <algorithm>
#include <filesystem>

using namespace batchscope;
using namespace batchscope::testing;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> files_in(const fs::path& place) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(place / "checkpoints", none)) {
    names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

std::int64_t count_of(const fs::path& place, const std::string& start) {
  return std::ranges::count_if(files_in(place),
                               [&](const std::string& name) { return name.starts_with(start); });
}

/// The newest checkpoint by name.
fs::path newest(const fs::path& place) {
  fs::path found;
  for (const std::string& name : files_in(place)) {
    if (name.starts_with("step-") && name.ends_with(".ckpt")) {
      found = place / "checkpoints" / name;
    }
  }
  return found;
}

/// A toy that cannot detect from call `broken_from` on.
class BrokenToy : public ToyDetector {
 public:
  using ToyDetector::ToyDetector;
  std::vector<models::Detection> detect(
      const torch::Tensor& images,
      const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) override {
    if (++detections >= broken_from) {
      throw std::runtime_error("a picture is damaged\nand a back trace");
    }
    return ToyDetector::detect(images, sizes);
  }
  std::int64_t detections = 0, broken_from = 1;
};

/// A toy whose loss fails at one call.
class FailingToy : public ToyDetector {
 public:
  using ToyDetector::ToyDetector;
  models::Losses losses(const torch::Tensor& images,
                        const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                        const std::vector<models::Target>& targets,
                        torch::Generator generator) override {
    if (++losses_taken == fails_at) {
      throw std::runtime_error("out of memory");
    }
    return ToyDetector::losses(images, sizes, targets, generator);
  }
  std::int64_t losses_taken = 0, fails_at = 0;
};

/// A toy whose batch norm sees one value per channel.
class LonelyToy : public ToyDetector {
 public:
  using ToyDetector::ToyDetector;
  models::Losses losses(const torch::Tensor& images,
                        const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                        const std::vector<models::Target>& targets,
                        torch::Generator generator) override {
    torch::nn::functional::batch_norm(torch::ones({1, 4, 1, 1}),
                                      {},
                                      {},
                                      torch::nn::functional::BatchNormFuncOptions().training(true));
    return ToyDetector::losses(images, sizes, targets, generator);
  }
};

/// A toy with a batch norm's running statistics.
class CountingToy : public ToyDetector {
 public:
  explicit CountingToy(std::uint64_t seed) : ToyDetector(seed) {
    seen = register_buffer("seen", torch::zeros({1}));
  }
  models::Losses losses(const torch::Tensor& images,
                        const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                        const std::vector<models::Target>& targets,
                        torch::Generator generator) override {
    seen.add_(1);
    return ToyDetector::losses(images, sizes, targets, generator);
  }
  torch::Tensor seen;
};

/// A sink that stores only when it is told to.
class SlowSink : public MemorySink {
 public:
  void after_commit(std::function<void()> call) override { waiting.push_back(std::move(call)); }
  std::vector<std::function<void()>> waiting;
};

train::ResumePoint goes_on(const fs::path& state) {
  return {.checkpoint = state, .next_seq = 1000, .next_segment = 50, .text = "Goes on."};
}

}  // namespace

/// What a training promises about its states, at the seams: the end, an error, a resume, an undo.
class TestPromises : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void anErrorInTheLastEvaluationCostsNoUpdate() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = toy_spec("sgd", 6);
    spec.eval.at_end = true;
    spec.eval.probes = 0;
    ToyRun run = toy_run(spec,
                         nullptr,
                         torch::kFloat32,
                         place,
                         std::nullopt,
                         nullptr,
                         std::make_shared<BrokenToy>(11));
    QVERIFY_THROWS_EXCEPTION(contract::DataError, run.trainer->run());
    QVERIFY(newest(place).filename().string().starts_with("step-00000006"));
    QCOMPARE(run.sink->checkpoints.size(), std::size_t{1});
    QCOMPARE(run.sink->of_kind("error").back().text, std::string("a picture is damaged"));
  }

  void aBatchNormOfOneValueSaysWhatToChange() {
    contract::RunSpec spec = toy_spec("sgd", 2);
    spec.batch.micro = 1;
    ToyRun run = toy_run(
        spec, nullptr, torch::kFloat32, {}, std::nullopt, nullptr, std::make_shared<LonelyToy>(11));
    QVERIFY_THROWS_EXCEPTION(contract::DataError, run.trainer->run());
    QCOMPARE(run.sink->of_kind("error").back().text,
             std::string("A batch norm has one value per channel: batch.micro is 1, and a map of "
                         "its picture has one pixel; expected model.norm gn or frozen, more "
                         "pictures or larger ones."));
  }

  void anErrorInAnUpdateCostsThatUpdateAlone() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    const contract::RunSpec spec = toy_spec("sgd", 8);
    auto toy = std::make_shared<FailingToy>(11);
    toy->fails_at = 5;
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place, std::nullopt, nullptr, toy);
    QVERIFY_THROWS_EXCEPTION(contract::DataError, run.trainer->run());
    const std::int64_t done = run.trainer->state().step;
    QVERIFY(done > 0 && done < 8);
    QVERIFY(!newest(place).empty());
    // It goes on as if nothing had happened.
    ToyRun rest = toy_run(spec, nullptr, torch::kFloat32, place, goes_on(newest(place)));
    rest.trainer->run();
    ToyRun whole = toy_run(spec);
    whole.trainer->run();
    QVERIFY(equal_bits(weights(*rest.model), weights(*whole.model)));
  }

  void rankZeroSavesWhicheverRankFails() {
    for (const std::int64_t failing : {0, 1}) {
      QTemporaryDir folder;
      const fs::path place = folder.path().toStdString();
      contract::RunSpec spec = toy_spec("sgd", 8);
      spec.batch.ranks = 2;
      const std::vector<std::shared_ptr<FailingToy>> toys = {std::make_shared<FailingToy>(11),
                                                             std::make_shared<FailingToy>(11)};
      try {
        with_ranks(2, [&](std::shared_ptr<train::Group> group) {
          const auto& toy = toys[static_cast<std::size_t>(group->rank())];
          toy->fails_at = group->rank() == failing ? 4 : 0;
          ToyRun run = toy_run(spec,
                               group,
                               torch::kFloat32,
                               group->rank() == 0 ? place : fs::path(),
                               std::nullopt,
                               nullptr,
                               toy);
          run.trainer->run();
        });
        QFAIL("It must have failed.");
      } catch (const contract::Error&) {
      }
      QVERIFY2(!newest(place).empty(), std::to_string(failing).c_str());
    }
  }

  void aChangeAfterTheLastSaveIsSavedByAStop() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    const contract::RunSpec spec = toy_spec("sgd", 20);
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    train::Trainer& trainer = *run.trainer;
    trainer.begin();
    trainer.step();
    QVERIFY(trainer.apply(contract::CheckpointCommand{}, "user").ok);
    QVERIFY(!trainer.store().changed());
    QVERIFY(trainer.apply(contract::LrCommand{0.00123}, "user").ok);
    QVERIFY(trainer.apply(contract::StopCommand{}, "user").ok);
    trainer.finish();
    ToyRun rest = toy_run(spec, nullptr, torch::kFloat32, place, goes_on(newest(place)));
    rest.trainer->begin();
    QCOMPARE(rest.trainer->status().lr, 0.00123);
  }

  void aChangeGivenToAResumeIsSavedByAStopAtOnce() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    const contract::RunSpec spec = toy_spec("sgd", 20);
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    run.trainer->begin();
    run.trainer->step();
    QVERIFY(run.trainer->apply(contract::StopCommand{}, "user").ok);
    run.trainer->finish();
    ToyRun changed = toy_run(spec, nullptr, torch::kFloat32, place, goes_on(newest(place)));
    changed.trainer->begin();
    QVERIFY(changed.trainer->apply(contract::LrCommand{0.5}, "user").ok);
    QVERIFY(changed.trainer->apply(contract::StopCommand{}, "user").ok);
    changed.trainer->finish();
    QCOMPARE(changed.sink->checkpoints.back().kind, std::string("checkpoint"));
    ToyRun rest = toy_run(spec,
                          nullptr,
                          torch::kFloat32,
                          place,
                          goes_on(place / changed.sink->checkpoints.back().file));
    rest.trainer->begin();
    QCOMPARE(rest.trainer->status().lr, 0.5);
  }

  void undoKeepsTheSettingsOfTheProcess() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = toy_spec("sgd", 30);
    spec.batch.accumulation = 2;
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    run.trainer->begin();
    run.trainer->step();
    QVERIFY(run.trainer->apply(contract::LrCommand{0.5}, "user").ok);
    run.trainer->step();
    QVERIFY(run.trainer->apply(contract::StopCommand{}, "user").ok);
    run.trainer->finish();
    const fs::path state = newest(place);

    contract::RunSpec later = spec;
    later.checkpoint.every_steps = 50;
    later.eval.every_steps = 7;
    later.batch.ranks = 2;
    with_ranks(2, [&](std::shared_ptr<train::Group> group) {
      const fs::path own = group->rank() == 0 ? place : fs::path();
      ToyRun rest = toy_run(later, group, torch::kFloat32, own, goes_on(state));
      rest.trainer->begin();
      const auto expect = [&] {
        const contract::RunSpec& now = rest.trainer->state().spec;
        if (now.checkpoint.every_steps != 50 || now.eval.every_steps != 7 || now.batch.ranks != 2 ||
            now.batch.accumulation != 1) {
          throw std::runtime_error("settings of before the resume: " + contract::to_toml(now));
        }
      };
      expect();
      rest.trainer->step();
      if (!rest.trainer->apply(contract::UndoCommand{}, "user").ok) {
        throw std::runtime_error("the undo was refused");
      }
      expect();
      rest.trainer->step();
    });
  }

  /// Another length is another schedule, whose rate at the same place is another.
  void aLongerRunSaysWhereItsRateJumps() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = toy_spec("sgd", 6);
    spec.schedule.decay.kind = "cosine";
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    run.trainer->run();
    ToyRun rest = toy_run(spec, nullptr, torch::kFloat32, place, goes_on(newest(place)));
    rest.trainer->begin();
    QVERIFY(rest.trainer->apply(contract::EndCommand{10}, "user").ok);
    rest.trainer->step();
    const std::string said = rest.sink->of_kind("end").back().text;
    QCOMPARE(said,
             "Planned end 6 -> 10 steps: the rate was " +
                 train::number_text(run.sink->value(run.sink->rows.back(), "lr")) +
                 " in update 6 and is " +
                 train::number_text(rest.sink->value(rest.sink->rows.back(), "lr")) +
                 " in the next.");
  }

  void anotherNumberOfRanksKeepsTheBatch() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = toy_spec("sgd", 12);
    spec.batch.accumulation = 2;
    ToyRun whole = toy_run(spec);
    whole.trainer->run();
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    run.trainer->begin();
    for (int i = 0; i < 5; ++i) {
      run.trainer->step();
    }
    QVERIFY(run.trainer->apply(contract::StopCommand{}, "user").ok);
    run.trainer->finish();
    contract::RunSpec two = spec;
    two.batch.ranks = 2;
    const fs::path state = newest(place);
    with_ranks(2, [&](std::shared_ptr<train::Group> group) {
      ToyRun rest = toy_run(
          two, group, torch::kFloat32, group->rank() == 0 ? place : fs::path(), goes_on(state));
      rest.trainer->run();
      if (rest.trainer->state().step != 12 ||
          rest.trainer->state().spec.batch.effective() != spec.batch.effective()) {
        throw std::runtime_error("another batch: " + std::to_string(rest.trainer->state().step) +
                                 " steps");
      }
      if (relative_difference(weights(*rest.model), weights(*whole.model)) > 1e-5) {
        throw std::runtime_error("another training");
      }
      if (group->rank() == 0 && rest.sink->of_kind("ranks").size() != 1) {
        throw std::runtime_error("it was not said");
      }
    });
  }

  void aBatchThatCannotBeKeptIsAChange() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = toy_spec("sgd", 12);
    spec.batch.accumulation = 3;
    spec.optim.lr_rule = "linear";
    spec.optim.lr_on_batch_change = "rule";
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    run.trainer->begin();
    run.trainer->step();
    const double lr = run.trainer->status().lr;
    QVERIFY(run.trainer->apply(contract::StopCommand{}, "user").ok);
    run.trainer->finish();
    contract::RunSpec two = spec;
    two.batch.ranks = 2;
    const fs::path state = newest(place);
    with_ranks(2, [&](std::shared_ptr<train::Group> group) {
      ToyRun rest = toy_run(
          two, group, torch::kFloat32, group->rank() == 0 ? place : fs::path(), goes_on(state));
      rest.trainer->begin();
      const contract::StatusReport now = rest.trainer->status();
      if (now.accumulation != 2 || std::abs(now.lr - lr * 4 / 3) > 1e-12) {
        throw std::runtime_error("accumulation " + std::to_string(now.accumulation) + ", lr " +
                                 std::to_string(now.lr));
      }
      if (group->rank() != 0) {
        return;
      }
      const auto events = rest.sink->of_kind("accumulation");
      if (events.size() != 1 || events[0].source != "user" ||
          events[0].args.at("old_batch") != "12" || events[0].args.at("new_batch") != "16") {
        throw std::runtime_error("the event is missing or wrong");
      }
    });
  }

  void undoLeavesNoFilesBehind() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = toy_spec("sgd", 100);
    spec.checkpoint.restore_points = 3;
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    run.trainer->begin();
    for (int i = 0; i < 12; ++i) {
      run.trainer->step();
      QVERIFY(run.trainer->apply(contract::LrCommand{0.1 + i * 0.01}, "user").ok);
      if (i % 2 == 1) {
        QVERIFY(run.trainer->apply(contract::UndoCommand{}, "user").ok);
      }
      QVERIFY(count_of(place, "restore-") <= 3);
      QCOMPARE(count_of(place, "restore-"),
               static_cast<std::int64_t>(run.trainer->state().restore_points.size()));
    }
    // As many undos as there are points, then a sentence.
    while (!run.trainer->state().restore_points.empty()) {
      QVERIFY(run.trainer->apply(contract::UndoCommand{}, "user").ok);
    }
    const contract::Reply none = run.trainer->apply(contract::UndoCommand{}, "user");
    QVERIFY(!none.ok);
    QCOMPARE(none.error, std::string("There is nothing to undo: no change was made."));
    QCOMPARE(count_of(place, "restore-"), std::int64_t{0});
  }

  void restorePointsHaveABudgetOfBytes() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = toy_spec("sgd", 100);
    spec.checkpoint.restore_points = 9;
    ToyRun probe = toy_run(spec, nullptr, torch::kFloat32, place);
    probe.trainer->begin();
    probe.trainer->step();
    QVERIFY(probe.trainer->apply(contract::LrCommand{0.2}, "user").ok);
    const auto size = static_cast<double>(
        fs::file_size(place / probe.trainer->state().restore_points.front().file));
    QTemporaryDir other;
    spec.checkpoint.restore_megabytes = 2.5 * size / 1e6;
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, other.path().toStdString());
    run.trainer->begin();
    for (int i = 0; i < 5; ++i) {
      run.trainer->step();
      QVERIFY(run.trainer->apply(contract::LrCommand{0.1 + i * 0.01}, "user").ok);
    }
    QCOMPARE(count_of(other.path().toStdString(), "restore-"), std::int64_t{2});
  }

  void aResumeCollectsWhatAKilledRunLeft() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    const contract::RunSpec spec = toy_spec("sgd", 20);
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    run.trainer->begin();
    run.trainer->step();
    QVERIFY(run.trainer->apply(contract::StopCommand{}, "user").ok);
    run.trainer->finish();
    const fs::path state = newest(place), files = place / "checkpoints";
    fs::copy(state, files / "restore-7-step-00000009.ckpt");
    fs::copy(state, files / "step-00000019-segment-0.ckpt.part");
    fs::copy(state, files / "my-own-copy.ckpt");
    fs::copy(state, files / "notes.txt");
    ToyRun rest = toy_run(spec, nullptr, torch::kFloat32, place, goes_on(state));
    rest.trainer->begin();
    const std::vector<std::string> expected = {
        "my-own-copy.ckpt", "notes.txt", state.filename().string()};
    QCOMPARE(files_in(place), expected);
  }

  void aSaveThatFailsEndsNothing() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = toy_spec("sgd", 12);
    spec.checkpoint.every_steps = 3;
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    run.trainer->begin();
    for (int i = 0; i < 4; ++i) {
      run.trainer->step();
      run.trainer->boundary();
    }
    // Folders where the files would be written: not even root can write them.
    const auto blocked = [&](const char* step) {
      return place / "checkpoints" / ("step-000000" + std::string(step) + "-segment-0.ckpt.part");
    };
    for (const char* step : {"06", "09", "12"}) {
      fs::create_directories(blocked(step));
    }
    for (int i = 0; i < 8; ++i) {
      run.trainer->step();
      run.trainer->boundary();
    }
    QVERIFY(!run.trainer->store().trouble().empty());
    QCOMPARE(run.sink->of_kind("warning").size(), std::size_t{1});
    QVERIFY(run.trainer->status().trouble.find("The newest saved state is of step 3") !=
            std::string::npos);
    fs::remove(blocked("12"));
    const train::Outcome outcome = run.trainer->finish();
    QCOMPARE(outcome.state, contract::RunState::kFinished);
    QCOMPARE(outcome.code, contract::ExitCode::kDone);
    QVERIFY(newest(place).filename().string().starts_with("step-00000012"));
  }

  void theLastSaveIsToldWhenItFails() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    const contract::RunSpec spec = toy_spec("sgd", 3);
    fs::create_directories(place / "checkpoints/step-00000003-segment-0.ckpt.part");
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    const train::Outcome outcome = run.trainer->run();
    QCOMPARE(outcome.state, contract::RunState::kFinished);
    QCOMPARE(outcome.code, contract::ExitCode::kStorage);
    QVERIFY(outcome.sentence.find("was not saved") != std::string::npos);
  }

  void aFileGoesWhenItsSuccessorIsOnRecord() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = toy_spec("sgd", 9);
    spec.checkpoint.every_steps = 3;
    spec.checkpoint.keep = 1;
    auto sink = std::make_shared<SlowSink>();
    ToyRun run =
        toy_run(spec, nullptr, torch::kFloat32, place, std::nullopt, nullptr, nullptr, sink);
    run.trainer->begin();
    for (int i = 0; i < 9; ++i) {
      run.trainer->step();
      run.trainer->boundary();
    }
    run.trainer->finish();
    QCOMPARE(count_of(place, "step-"), std::int64_t{3});
    for (const auto& call : sink->waiting) {
      call();
    }
    QCOMPARE(count_of(place, "step-"), std::int64_t{1});
    QVERIFY(newest(place).filename().string().starts_with("step-00000009"));
  }

  /// A state that is ahead of its record would leave a gap in it for ever.
  void aStateWaitsForTheRowsBeforeIt() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = toy_spec("sgd", 9);
    spec.checkpoint.every_steps = 3;
    auto sink = std::make_shared<SlowSink>();
    ToyRun run =
        toy_run(spec, nullptr, torch::kFloat32, place, std::nullopt, nullptr, nullptr, sink);
    run.trainer->begin();
    for (int i = 0; i < 3; ++i) {
      run.trainer->step();
    }
    run.trainer->boundary();
    QTest::qWait(200);
    QCOMPARE(count_of(place, "step-00000003-segment-0.ckpt.part"), std::int64_t{1});
    for (const auto& call : std::exchange(sink->waiting, {})) {
      call();
    }
    QVERIFY(QTest::qWaitFor([&] { return !newest(place).empty(); }));
  }

  void aRefusedUpdateLeavesNoTrace() {
    contract::RunSpec spec = toy_spec("sgd", 8);
    spec.batch.accumulation = 2;
    spec.guard.loss_limit = 1e3;
    spec.guard.on_diverge = "pause";
    spec.optim.agvm.enabled = true;
    spec.optim.agvm.start = 1;
    spec.optim.agvm.interval = 1;
    auto toy = std::make_shared<CountingToy>(11);
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, {}, std::nullopt, nullptr, toy);
    run.trainer->begin();
    run.trainer->step();
    run.trainer->step();
    const double seen = toy->seen.item<double>();
    const std::vector<double> mu = run.trainer->agvm().mu();
    toy->spoil_from = 1;
    toy->spoil_to = 1000;
    toy->spoil = 1e6;
    run.trainer->step();
    QCOMPARE(run.trainer->state().skipped, std::int64_t{1});
    QCOMPARE(toy->seen.item<double>(), seen);
    QCOMPARE(run.trainer->agvm().mu(), mu);
  }

  void aShortResumeIsNotDead() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = toy_spec("sgd", 30);
    spec.optim.lr = 1e-12;  // learns nothing that shows
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    run.trainer->begin();
    for (int i = 0; i < 15; ++i) {
      run.trainer->step();
    }
    QVERIFY(run.trainer->apply(contract::StopCommand{}, "user").ok);
    run.trainer->finish();
    ToyRun rest = toy_run(spec, nullptr, torch::kFloat32, place, goes_on(newest(place)));
    rest.trainer->run();
    QVERIFY(!rest.sink->of_kind("finish").back().args.contains("dead"));
  }

  void anEndBeyondAllPicturesIsRefused() {
    ToyRun run = toy_run(toy_spec("sgd", 8));
    run.trainer->begin();
    run.trainer->step();
    const contract::Reply reply =
        run.trainer->apply(contract::EndCommand{2'000'000'000'000'000'000}, "user");
    QVERIFY(!reply.ok);
    QVERIFY(!run.trainer->ended());
  }

  void aStrangersStateIsRefused_data() {
    QTest::addColumn<QString>("from");
    QTest::addColumn<QString>("to");
    QTest::newRow("absolute file") << "checkpoints/step-00000001-segment-0.ckpt"
                                   << "/tmp/thesis.tex";
    QTest::newRow("file above") << "checkpoints/step-00000001-segment-0.ckpt"
                                << "checkpoints/../../step-1.ckpt";
    QTest::newRow("other name") << "checkpoints/step-00000001-segment-0.ckpt"
                                << "checkpoints/thesis.ckpt";
    QTest::newRow("events done") << "\"events_done\":0"
                                 << "\"events_done\":-1";
    QTest::newRow("more events") << "\"events_done\":0"
                                 << "\"events_done\":5";
    QTest::newRow("step") << "\"step\":1,\""
                          << "\"step\":-5,\"";
    QTest::newRow("large step") << "\"step\":1,\""
                                << "\"step\":4611686018427387904,\"";
    QTest::newRow("text for a number") << "\"images\":4"
                                       << "\"images\":\"4\"";
    QTest::newRow("segment") << "\"segment\":0,\"segments\""
                             << "\"segment\":-7,\"segments\"";
    QTest::newRow("seconds") << "\"skipped\":0"
                             << "\"skipped\":3";
    QTest::newRow("key of another engine") << "every_minutes"
                                           << "every_moons";
    QTest::newRow("no TOML") << "[run]\\n"
                             << "[run]\\n[run]\\n";
    QTest::newRow("first batch") << "\"start_batch\":["
                                 << "\"start_batch\":[0,";
    QTest::newRow("ramp without length") << "\"length\":100"
                                         << "\"length\":0";
    QTest::newRow("ranks") << "\"ranks\":1"
                           << "\"ranks\":-1";
    QTest::newRow("evaluated later") << "\"evaluated_step\":-1"
                                     << "\"evaluated_step\":7";
  }
  void aStrangersStateIsRefused() {
    QFETCH(QString, from);
    QFETCH(QString, to);
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    const contract::RunSpec spec = toy_spec("sgd", 8);
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    run.trainer->begin();
    run.trainer->step();
    QVERIFY(run.trainer->apply(contract::CheckpointCommand{}, "user").ok);
    const fs::path file = newest(place);
    train::StateFile state = train::decode_state(train::read_bytes(file), file.filename().string());
    const std::size_t at = state.words.find(from.toStdString());
    QVERIFY2(at != std::string::npos, state.words.c_str());
    state.words.replace(at, from.size(), to.toStdString());
    train::write_state_durably(file, state);
    ToyRun rest = toy_run(spec, nullptr, torch::kFloat32, place, goes_on(file));
    QVERIFY_THROWS_EXCEPTION(contract::DataError, rest.trainer->begin());
    try {
      train::from_words(state.words, "input");
    } catch (const contract::DataError& error) {
      QVERIFY2(std::string(error.what()).find('\n') == std::string::npos, error.what());
    }
  }
};

BATCHSCOPE_TEST(TestPromises)
#include "tst_promises.moc"
