#include "tests/support/test_program.h"
#include "tests/support/toy_training.h"

#include <QTemporaryDir>
#include <QtTest>

using namespace batchscope;
using namespace batchscope::testing;

namespace {

void steps(train::Trainer& trainer, int count) {
  for (int i = 0; i < count; ++i) {
    trainer.step();
    trainer.boundary();
  }
}

contract::OptimizerCommand to(const std::string& name, double lr, contract::LrMapping mapping) {
  contract::OptimizerCommand command;
  command.name = name;
  command.lr = lr;
  command.lr_mapping = mapping;
  return command;
}

std::vector<double> losses(const MemorySink& sink) {
  std::vector<double> values;
  for (const contract::StepRecord& row : sink.rows) {
    values.push_back(sink.value(row, "loss"));
  }
  return values;
}

}  // namespace

class TestSwitch : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  /// A live switch at step k is a run restarted at k with the carried state.
  void switchEqualsRestart_data() {
    QTest::addColumn<QString>("from");
    QTest::addColumn<QString>("name");
    QTest::addColumn<bool>("matched");
    const QStringList methods = {QStringLiteral("sgd"),
                                 QStringLiteral("adamw"),
                                 QStringLiteral("lamb"),
                                 QStringLiteral("pmd_lamb")};
    for (const QString& from : methods) {
      for (const QString& name : methods) {
        const QString row = from + QStringLiteral(" to ") + name;
        if (from != name) {
          QTest::newRow(qPrintable(row + QStringLiteral(", target_now"))) << from << name << false;
          QTest::newRow(qPrintable(row + QStringLiteral(", match_update"))) << from << name << true;
        }
      }
    }
  }
  void switchEqualsRestart() {
    QFETCH(QString, from);
    QFETCH(QString, name);
    QFETCH(bool, matched);
    QTemporaryDir folder;
    const auto mapping =
        matched ? contract::LrMapping::kMatchUpdate : contract::LrMapping::kTargetNow;
    const contract::OptimizerCommand command = to(name.toStdString(), 0.02, mapping);
    const contract::RunSpec spec = toy_spec(from.toStdString(), 30);
    const std::filesystem::path place = folder.path().toStdString();
    ToyRun live = toy_run(spec, nullptr, torch::kFloat32, place);
    live.trainer->begin();
    steps(*live.trainer, 8);
    const contract::Reply saved = live.trainer->apply(contract::CheckpointCommand{}, "user");
    QVERIFY(live.trainer->apply(command, "user").ok);
    steps(*live.trainer, 10);

    ToyRun again = toy_run(
        spec, nullptr, torch::kFloat32, place, train::ResumePoint{place / saved.detail, 9, 1, ""});
    again.trainer->begin();
    QVERIFY(again.trainer->apply(command, "user").ok);
    steps(*again.trainer, 10);
    QVERIFY(equal_bits(weights(*live.model), weights(*again.model)));
    QCOMPARE(live.trainer->state().spec.optim.name, name.toStdString());
  }

  /// A preview tells what the first update is, if the next gradient is the mean recent one, and
  /// changes nothing.
  void previewTellsTheFirstUpdate() {
    std::map<std::string, torch::Tensor> weights = {{"a", torch::randn({4, 3}, torch::kDouble)},
                                                    {"b", torch::randn({5, 2}, torch::kDouble)}};
    const std::vector<optim::Parameter> parameters = {{"a.w", 0, weights["a"]},
                                                      {"b.w", 1, weights["b"]}};
    train::UpdateState state;
    state.spec = contract::parse_spec(
        "optim.name = \"adamw\"\noptim.lr = 0.01\noptim.momentum = 0.0\n"
        "schedule.warmup.kind = \"none\"\nschedule.decay.kind = \"none\"\n");
    state.start_batch = state.spec.batch;
    train::Updater updater(state, {"a", "b"}, parameters, 100);
    const std::vector<torch::Tensor> gradient = {torch::randn({4, 3}, torch::kDouble),
                                                 torch::randn({5, 2}, torch::kDouble)};
    const auto feed = [&] {
      std::vector<torch::Tensor> copy = {gradient[0].clone(), gradient[1].clone()};
      return updater.update(copy, 8, false);
    };
    const contract::OptimizerCommand command = to("lamb", 0.02, contract::LrMapping::kMatchUpdate);
    QVERIFY(!updater.preview(updater.plan_change(command), command).gradient_known);
    feed();  // one gradient: it is its own mean
    const torch::Tensor kept = weights["a"].clone();
    const train::ChangePreview preview = updater.preview(updater.plan_change(command), command);
    QVERIFY(torch::equal(kept, weights["a"]));
    QVERIFY(preview.gradient_known);
    QCOMPARE(preview.modules.size(), std::size_t{2});
    QCOMPARE(preview.state_floats_after, 2);
    updater.apply(updater.plan_change(command), command);
    const optim::StepReport report = feed();
    for (std::size_t m = 0; m < 2; ++m) {
      const train::ChangePreview::Module& said = preview.modules[m];
      QVERIFY(std::abs(said.after.norm - report.module_update_norm[m]) < 1e-9);
      QVERIFY(std::abs(said.after.trust - report.module_trust[m]) < 1e-9);
      QVERIFY(std::abs(said.before.norm - said.after.norm) < 1e-6 * said.before.norm);
      QVERIFY(said.factor > 0 && said.factor < 10);
    }
  }

  /// The first update after match_update has the size of the old optimizer's.
  void matchUpdateKeepsTheSizeOfUpdates() {
    ToyRun run = toy_run(toy_spec("sgd", 200));
    run.trainer->begin();
    steps(*run.trainer, 20);
    const double before = run.sink->value(run.sink->rows.back(), "update_norm/backbone");
    QVERIFY(run.trainer->apply(to("lamb", 0.02, contract::LrMapping::kMatchUpdate), "user").ok);
    steps(*run.trainer, 1);
    const double after = run.sink->value(run.sink->rows.back(), "update_norm/backbone");
    QVERIFY2(after > before / 3 && after < before * 3,
             qPrintable(QString::number(before) + QLatin1Char(' ') + QString::number(after)));
    // The ramp is geometric: equal ratios, and it is over after 100 updates.
    QVERIFY(run.sink->value(run.sink->rows.back(), "ramp/backbone") < 1);
    steps(*run.trainer, 2);
    const auto ramp = [&](std::size_t back) {
      return run.sink->value(run.sink->rows[run.sink->rows.size() - 1 - back], "ramp/backbone");
    };
    QVERIFY(std::abs(ramp(0) / ramp(1) - ramp(1) / ramp(2)) < 1e-9);
    steps(*run.trainer, 100);
    QCOMPARE(ramp(0), -12345.0);
  }

  void targetNowUsesTheNewRateAtOnce() {
    ToyRun run = toy_run(toy_spec("sgd", 200));
    run.trainer->begin();
    steps(*run.trainer, 3);
    QVERIFY(run.trainer->apply(to("adamw", 0.02, contract::LrMapping::kTargetNow), "user").ok);
    steps(*run.trainer, 1);
    QCOMPARE(run.sink->value(run.sink->rows.back(), "ramp/head"), -12345.0);
    QVERIFY(std::abs(run.sink->value(run.sink->rows.back(), "lr_eff/head") -
                     run.sink->value(run.sink->rows.back(), "lr")) < 1e-12);
  }

  void decayMappings() {
    ToyRun run = toy_run(toy_spec("sgd", 50));
    run.trainer->begin();
    steps(*run.trainer, 3);
    contract::OptimizerCommand command = to("adamw", 0.01, contract::LrMapping::kTargetNow);
    command.dry_run = true;
    contract::Reply reply = run.trainer->apply(command, "user");
    QVERIFY(reply.ok);
    QVERIFY(reply.detail.find("shrink per update") != std::string::npos);
    QVERIFY(reply.detail.find("state memory") != std::string::npos);
    QVERIFY(reply.detail.find("\nbackbone ") != std::string::npos);
    QCOMPARE(run.trainer->state().spec.optim.name, std::string("sgd"));
    QVERIFY(run.sink->of_kind("optimizer").empty());
    command.dry_run = false;
    QVERIFY(run.trainer->apply(command, "user").ok);
    // SGD shrinks by lr·λ/(1-q) = 0.1·1e-4/0.1, AdamW by lr·λ: λ = 1e-4 / 0.01.
    QVERIFY(std::abs(run.trainer->state().spec.optim.weight_decay - 1e-2) < 1e-9);
    command = to("sgd", 0.1, contract::LrMapping::kTargetNow);
    command.decay_mapping = contract::DecayMapping::kKeep;
    QVERIFY(run.trainer->apply(command, "user").ok);
    QVERIFY(std::abs(run.trainer->state().spec.optim.weight_decay - 1e-2) < 1e-9);
    command = to("lamb", 0.1, contract::LrMapping::kTargetNow);
    command.decay_mapping = contract::DecayMapping::kTarget;
    QVERIFY(run.trainer->apply(command, "user").ok);
    QCOMPARE(run.trainer->state().spec.optim.weight_decay, 1e-4);
    command = to("sgd", 0.1, contract::LrMapping::kTargetNow);
    command.set = {{"optim.weight_decay", "0.003"}, {"optim.momentum", "0.5"}};
    QVERIFY(run.trainer->apply(command, "user").ok);
    QCOMPARE(run.trainer->state().spec.optim.weight_decay, 0.003);
    QCOMPARE(run.trainer->optimizer().options().momentum, 0.5);
  }

  void agvmOnAndOff() {
    contract::RunSpec spec = toy_spec("sgd", 400);
    spec.batch.accumulation = 2;
    spec.optim.agvm.start = 1;
    spec.optim.agvm.interval = 1;
    ToyRun run = toy_run(spec);
    run.trainer->begin();
    steps(*run.trainer, 3);
    QVERIFY(run.sink->value(run.sink->rows.back(), "d/head") >= 0);  // observed while off
    QCOMPARE(run.trainer->agvm().mu().back(), 1.0);
    contract::OptimizerCommand command;
    command.agvm = true;
    QVERIFY(run.trainer->apply(command, "user").ok);
    QVERIFY(run.trainer->state().spec.optim.agvm.enabled);
    steps(*run.trainer, 20);
    const double on = run.trainer->agvm().mu().back();
    QVERIFY(std::abs(on - 1) > 1e-3);
    QCOMPARE(run.trainer->agvm().mu().front(), 1.0);  // the anchor
    command.agvm = false;
    QVERIFY(run.trainer->apply(command, "user").ok);
    steps(*run.trainer, 50);
    const double half = run.trainer->agvm().mu().back();
    QVERIFY(std::abs(half - 1) < std::abs(on - 1) && std::abs(half - 1) > 0);
    steps(*run.trainer, 60);
    QCOMPARE(run.trainer->agvm().mu().back(), 1.0);
  }

  /// A scripted command and the same command sent live after the same update are one and the same.
  void scriptedEqualsLive() {
    const contract::OptimizerCommand command =
        to("pmd_lamb", 0.02, contract::LrMapping::kMatchUpdate);
    contract::RunSpec spec = toy_spec("sgd", 20);
    contract::RunSpec scripted = spec;
    scripted.events = {{7, command}, {12, contract::LrCommand{0.01}}};
    ToyRun a = toy_run(scripted);
    a.trainer->run();

    HandPort port;
    ToyRun b = toy_run(spec, nullptr, torch::kFloat32, {}, std::nullopt, &port);
    b.trainer->begin();
    b.trainer->boundary();
    while (!b.trainer->ended()) {
      // What lies in the queue while update k is made takes effect after it.
      if (b.trainer->state().step == 6) {
        port.coming.push_back(command);
      }
      if (b.trainer->state().step == 11) {
        port.coming.push_back(contract::LrCommand{0.01});
      }
      b.trainer->step();
      b.trainer->boundary();
    }
    QCOMPARE(port.replies.size(), std::size_t{2});
    QCOMPARE(port.replies[0].step, 7);
    QCOMPARE(port.replies[1].step, 12);
    QVERIFY(equal_bits(weights(*a.model), weights(*b.model)));
    QVERIFY(losses(*a.sink) == losses(*b.sink));
    for (const std::string kind : {"optimizer", "lr"}) {
      const auto x = a.sink->of_kind(kind), y = b.sink->of_kind(kind);
      QCOMPARE(x.size(), std::size_t{1});
      QCOMPARE(y.size(), std::size_t{1});
      QCOMPARE(x[0].step, y[0].step);
      QCOMPARE(x[0].text, y[0].text);
      QVERIFY(x[0].args == y[0].args);
      QCOMPARE(x[0].source, std::string("spec"));
      QCOMPARE(y[0].source, std::string("user"));
    }
  }

  /// The stored events are enough to make the run again: what was done live, read back and played
  /// as a script, gives the same numbers.
  void eventLogReplays() {
    contract::RunSpec spec = toy_spec("sgd", 24);
    ToyRun live = toy_run(spec);
    live.trainer->begin();
    steps(*live.trainer, 5);
    QVERIFY(live.trainer->apply(to("lamb", 0.03, contract::LrMapping::kMatchUpdate), "user").ok);
    steps(*live.trainer, 5);
    QVERIFY(live.trainer->apply(contract::AccumulationCommand{2}, "user").ok);
    QVERIFY(live.trainer->apply(contract::EndCommand{18}, "user").ok);
    while (!live.trainer->ended()) {
      steps(*live.trainer, 1);
    }
    contract::RunSpec script = contract::parse_spec(live.sink->info.spec_toml);
    for (const contract::EventRecord& event : live.sink->events) {
      if (event.source != "user") {
        continue;
      }
      // Only what the command takes: the outcome is stored beside it.
      std::map<std::string, std::string> args = event.args;
      for (const char* outcome : {"old",
                                  "new",
                                  "old_lr",
                                  "new_lr",
                                  "new_ranks",
                                  "old_weight_decay",
                                  "new_weight_decay"}) {
        args.erase(outcome);
      }
      script.events.push_back({event.step, contract::make_command(event.kind, args)});
    }
    QCOMPARE(script.events.size(), std::size_t{3});
    ToyRun again = toy_run(script);
    again.trainer->run();
    QCOMPARE(again.trainer->state().step, 18);
    QVERIFY(losses(*live.sink) == losses(*again.sink));
    QVERIFY(equal_bits(weights(*live.model), weights(*again.model)));
  }

  void refusalsNameTheArgument() {
    ToyRun run = toy_run(toy_spec("sgd", 20));
    run.trainer->begin();
    steps(*run.trainer, 4);
    const auto refused = [&](const contract::CommandBody& body) {
      const contract::Reply reply = run.trainer->apply(body, "user");
      return reply.ok ? std::string("applied") : reply.field + ": " + reply.error;
    };
    contract::OptimizerCommand command;
    command.name = "adamax";
    QVERIFY2(refused(command).starts_with("optim.name: "), refused(command).c_str());
    command = {};
    command.set = {{"batch.micro", "3"}};
    QVERIFY(refused(command).starts_with("batch.micro: "));
    command.set = {{"optim.momentun", "3"}};
    QVERIFY(refused(command).starts_with("optim.momentun: "));
    QVERIFY(refused(contract::EndCommand{4}).starts_with("step: end must be after"));
    QVERIFY(refused(contract::LrCommand{-1}).starts_with("value: "));
    QVERIFY(refused(contract::AccumulationCommand{0}).starts_with("value: "));
    QCOMPARE(refused(contract::ResumeCommand{}), std::string(": The training is not paused."));
    QCOMPARE(run.trainer->state().spec, toy_spec("sgd", 20));
  }
};

BATCHSCOPE_TEST(TestSwitch)
#include "tst_switch.moc"
