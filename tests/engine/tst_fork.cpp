#include "tests/support/test_program.h"
#include "tests/support/toy_training.h"

#include <QTemporaryDir>
#include <QtTest>

using namespace batchscope;
using namespace batchscope::testing;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kSteps = 14;

contract::RunSpec spec_of(const std::string& optimizer) {
  contract::RunSpec spec = toy_spec(optimizer, kSteps);
  spec.batch.accumulation = 2;
  spec.optim.agvm.enabled = true;
  spec.optim.agvm.start = 2;
  spec.optim.agvm.interval = 2;
  spec.optim.pmd.period = 5;
  spec.checkpoint.every_steps = 4;
  spec.checkpoint.keep = 9;
  return spec;
}

fs::path state_at(const fs::path& folder, const std::string& start) {
  for (const auto& entry : fs::directory_iterator(folder / "checkpoints")) {
    if (entry.path().filename().string().starts_with(start)) {
      return entry.path();
    }
  }
  return {};
}

contract::CommandBody to_lamb() {
  return contract::make_command("optimizer", {{"name", "lamb"}, {"lr", "0.02"}});
}

/// A run with a live change of lr after update 5 and, if asked, a switch after update 8.
ToyRun parent_run(const contract::RunSpec& spec, const fs::path& folder, bool switches) {
  ToyRun run = toy_run(spec, nullptr, torch::kFloat32, folder);
  train::Trainer& trainer = *run.trainer;
  trainer.begin();
  trainer.boundary();
  while (!trainer.ended()) {
    trainer.step();
    if (trainer.state().step == 5) {
      trainer.apply(contract::LrCommand{0.0312345678901}, "user");
    }
    if (switches && trainer.state().step == 8) {
      trainer.apply(to_lamb(), "user");
    }
    trainer.boundary();
  }
  trainer.finish();
  return run;
}

train::ResumePoint fork_at(std::int64_t step, const fs::path& state) {
  train::ResumePoint point;
  point.checkpoint = state;
  point.text = "Goes on.";
  point.fork = train::ForkStart{};
  point.fork->step = step;
  point.fork->seed = 5;
  return point;
}

/// The child trained to its end; `first` is carried out at its first boundary.
ToyRun child_run(const contract::RunSpec& spec,
                 const fs::path& folder,
                 train::ResumePoint point,
                 std::optional<contract::CommandBody> first = std::nullopt) {
  ToyRun run = toy_run(spec, nullptr, torch::kFloat32, folder, std::move(point));
  run.trainer->begin();
  if (first && !run.trainer->apply(*first, "user").ok) {
    return {};
  }
  run.trainer->boundary();
  while (!run.trainer->ended()) {
    run.trainer->step();
    run.trainer->boundary();
  }
  run.trainer->finish();
  return run;
}

/// Rows of the parent after `step` and all of the child's tell of the same updates, bit for bit.
bool same_rows(const ToyRun& parent, const ToyRun& child, std::int64_t step) {
  const std::vector<std::string> curves = {
      "loss", "lr", "grad_norm", "mu/neck", "update_norm/head", "d/backbone"};
  std::size_t at = 0;
  for (const contract::StepRecord& row : parent.sink->rows) {
    if (row.step <= step) {
      continue;
    }
    if (at >= child.sink->rows.size() || child.sink->rows[at].step != row.step ||
        child.sink->rows[at].images != row.images || child.sink->rows[at].segment != 0) {
      return false;
    }
    for (const std::string& curve : curves) {
      const double a = parent.sink->value(row, curve);
      const double b = child.sink->value(child.sink->rows[at], curve);
      if (a != b && !(std::isnan(a) && std::isnan(b))) {
        return false;
      }
    }
    ++at;
  }
  return at == child.sink->rows.size() && at > 0 &&
         equal_bits(weights(*parent.detector), weights(*child.detector));
}

std::vector<double> losses(const ToyRun& run, std::int64_t after, std::int64_t through) {
  std::vector<double> found;
  for (const contract::StepRecord& row : run.sink->rows) {
    if (row.step > after && row.step <= through) {
      found.push_back(run.sink->value(row, "loss"));
    }
  }
  return found;
}

}  // namespace

class TestFork : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void init() {
    places_ = std::make_unique<QTemporaryDir>();
    parent_ = places_->filePath(QStringLiteral("parent")).toStdString();
    child_ = places_->filePath(QStringLiteral("child")).toStdString();
    for (const fs::path& folder : {parent_, child_}) {
      fs::create_directories(folder / "checkpoints");
    }
  }

  void withoutAChangeItIsTheParent_data() {
    QTest::addColumn<QString>("optimizer");
    for (const char* name : {"sgd", "adamw", "lars", "lamb", "pmd_lamb"}) {
      QTest::newRow(name) << QString::fromLatin1(name);
    }
  }
  void withoutAChangeItIsTheParent() {
    QFETCH(QString, optimizer);
    const contract::RunSpec spec = spec_of(optimizer.toStdString());
    const ToyRun parent = parent_run(spec, parent_, false);
    const fs::path state = state_at(parent_, "step-00000008");
    QVERIFY(!state.empty());
    const ToyRun child = child_run(spec, child_, fork_at(8, state));
    QVERIFY(same_rows(parent, child, 8));
    QVERIFY(!child.sink->resumed);
    QCOMPARE(child.sink->segments.size(), std::size_t(1));
    QCOMPARE(child.sink->segments.at(0).start_step, 8);
    QCOMPARE(child.sink->rows.front().seq, 1);
    QCOMPARE(child.sink->of_kind("fork").size(), std::size_t(1));
    QCOMPARE(child.sink->checkpoints.front().step, 8);  // it needs its parent no more
  }

  void aSwitchIsTheParentsLiveSwitch() {
    const contract::RunSpec spec = spec_of("sgd");
    const ToyRun parent = parent_run(spec, parent_, true);
    const fs::path state = state_at(parent_, "restore-2-step-00000008");
    QVERIFY(!state.empty());
    const ToyRun child = child_run(spec, child_, fork_at(8, state), to_lamb());
    QVERIFY(same_rows(parent, child, 8));
  }

  void updatesInBetweenAreExecutedAgain_data() {
    QTest::addColumn<QString>("state");
    QTest::newRow("from a checkpoint before the change") << QStringLiteral("step-00000004");
    QTest::newRow("from the first step") << QString();
  }
  void updatesInBetweenAreExecutedAgain() {
    QFETCH(QString, state);
    contract::RunSpec spec = spec_of("sgd");
    spec.events = {{3, contract::make_command("accumulation", {{"value", "3"}})},
                   {7, contract::make_command("lr", {{"value", "0.02"}})}};
    const ToyRun parent = parent_run(spec, parent_, true);
    const bool begins = state.isEmpty();
    train::ResumePoint point =
        fork_at(8, begins ? fs::path() : state_at(parent_, state.toStdString()));
    QVERIFY(begins || !point.checkpoint.empty());
    point.fork->changes = {{5, contract::LrCommand{0.0312345678901}}};
    point.fork->losses = losses(parent, begins ? 0 : 4, 8);
    contract::RunSpec asked = spec;
    if (begins) {
      point.fork->spec = spec;
      asked.optim.name = "lamb";  // as the child's stored spec says
    }
    const ToyRun child = child_run(asked, child_, point, to_lamb());
    QVERIFY(same_rows(parent, child, 8));
    QVERIFY(child.sink->of_kind("warning").empty());
    QVERIFY(child.sink->of_kind("lr").empty());  // the parent's, not its own
  }

  void anotherTrainingIsNotTakenForTheParent() {
    const contract::RunSpec spec = spec_of("sgd");
    const ToyRun parent = parent_run(spec, parent_, false);
    train::ResumePoint point = fork_at(8, state_at(parent_, "step-00000004"));
    point.fork->losses = losses(parent, 4, 8);  // but not its change after update 5
    ToyRun child = toy_run(spec, nullptr, torch::kFloat32, child_, point);
    try {
      child.trainer->begin();
      QFAIL("no error");
    } catch (const contract::DataError& error) {
      QVERIFY(std::string(error.what()).find("Update 6 of the parent") == std::string::npos);
      QVERIFY(std::string(error.what()).find("Update 7 of the parent") != std::string::npos);
    }
  }

  void childrenOfASeedSeeTheSamePictures() {
    const contract::RunSpec spec = spec_of("sgd");
    const ToyRun parent = parent_run(spec, parent_, false);
    const fs::path state = state_at(parent_, "step-00000004");
    contract::RunSpec other = spec;
    other.run.seed = 6;
    train::ResumePoint point = fork_at(8, state);  // updates 5 to 8 with the parent's pictures
    point.fork->changes = {{5, contract::LrCommand{0.0312345678901}}};
    point.fork->losses = losses(parent, 4, 8);
    const ToyRun a = child_run(other, child_, point);
    const ToyRun b = child_run(other, child_, point);
    QVERIFY(equal_bits(weights(*a.detector), weights(*b.detector)));
    QVERIFY(!equal_bits(weights(*a.detector), weights(*parent.detector)));
    // The weights at the fork are the parent's: only pictures differ in the first update.
    const double first_a = a.sink->value(a.sink->rows[0], "weight_norm/neck");
    const double first_parent = parent.sink->value(parent.sink->rows[8], "weight_norm/neck");
    QVERIFY(std::abs(first_a - first_parent) < 0.01 * first_parent);
  }

 private:
  std::unique_ptr<QTemporaryDir> places_;
  fs::path parent_, child_;
};

BATCHSCOPE_TEST(TestFork)
#include "tst_fork.moc"
