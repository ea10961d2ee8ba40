#include "tests/support/test_program.h"
#include "tests/support/toy_training.h"

#include <QTemporaryDir>
#include <QtTest>

using namespace batchscope;
using namespace batchscope::testing;
namespace fs = std::filesystem;

namespace {

using contract::ShadowAction;
using contract::ShadowCommand;

contract::RunSpec spec_of(const std::string& optimizer, std::int64_t steps) {
  contract::RunSpec spec = toy_spec(optimizer, steps);
  spec.batch.accumulation = 2;
  spec.optim.agvm.enabled = true;
  spec.optim.agvm.start = 2;
  spec.optim.agvm.interval = 2;
  return spec;
}

contract::RunSpec with_shadows(contract::RunSpec spec) {
  spec.optim.shadow = {
      contract::make_shadow("pmd_lamb", "", {{"optim.lr", "0.01"}, {"optim.pmd.period", "4"}}),
      contract::make_shadow("lars", "lars-1", {{"optim.lr", "1.0"}})};
  return spec;
}

/// Values of every series "shadow/…" but the time, in rows [first, last) of a run.
std::vector<std::pair<std::string, double>> shadow_values(const MemorySink& sink,
                                                          std::int64_t after_step) {
  std::vector<std::pair<std::string, double>> values;
  for (const contract::StepRecord& row : sink.rows) {
    for (const auto& [series, value] : row.values) {
      const std::string& name = sink.series[static_cast<std::size_t>(series)].name;
      if (row.step > after_step && name.starts_with("shadow/")) {
        values.emplace_back(std::to_string(row.step) + " " + name, value);
      }
    }
  }
  return values;
}

}  // namespace

class TestShadows : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void trainingIsNotTouched() {
    ToyRun plain = toy_run(spec_of("sgd", 10));
    plain.trainer->run();
    ToyRun watched = toy_run(with_shadows(spec_of("sgd", 10)));
    watched.trainer->run();
    QVERIFY(equal_bits(weights(*plain.model), weights(*watched.model)));
    const MemorySink& sink = *watched.sink;
    for (const contract::StepRecord& row : sink.rows) {
      for (const std::string& module : watched.trainer->modules()) {
        for (const std::string label : {"pmd_lamb", "lars-1"}) {
          const std::string prefix = "shadow/" + label + "/";
          QVERIFY(sink.value(row, prefix + "update_norm/" + module) > 0);
          QVERIFY(sink.value(row, prefix + "lr_eff/" + module) > 0);
          const double cosine = sink.value(row, prefix + "cos/" + module);
          QVERIFY2(cosine > -1.000001 && cosine < 1.000001, qPrintable(QString::number(cosine)));
        }
      }
      QVERIFY(sink.value(row, "shadow_ms") >= 0);
      QCOMPARE(plain.sink->value(plain.sink->rows[row.seq - 1], "loss"), sink.value(row, "loss"));
    }
    // What they take is said once, at the start.
    const auto events = sink.of_kind("shadow");
    QCOMPARE(events.size(), std::size_t{1});
    QVERIFY2(events[0].text.starts_with("2 shadow optimizers (pmd_lamb, lars-1): "),
             events[0].text.c_str());
    QVERIFY(std::stoll(events[0].args.at("state_bytes")) > 0);
    QVERIFY(plain.sink->index.count("shadow_ms") == 0);
  }

  void aShadowOfTheSameSettingsDoesTheSame() {
    contract::RunSpec spec = spec_of("lamb", 8);
    spec.optim.shadow = {contract::make_shadow("lamb", "twin", {})};
    ToyRun run = toy_run(spec);
    run.trainer->run();
    for (const contract::StepRecord& row : run.sink->rows) {
      for (const std::string& module : run.trainer->modules()) {
        // The real change is a difference of float32 weights.
        QVERIFY(std::abs(run.sink->value(row, "shadow/twin/cos/" + module) - 1) < 1e-4);
        QCOMPARE(run.sink->value(row, "shadow/twin/update_norm/" + module),
                 run.sink->value(row, "update_norm/" + module));
        QCOMPARE(run.sink->value(row, "shadow/twin/lr_eff/" + module),
                 run.sink->value(row, "lr_eff/" + module));
      }
    }
  }

  void resumeIsBitEqual() {
    QTemporaryDir folder, other;
    contract::RunSpec spec = with_shadows(spec_of("adamw", 12));
    spec.checkpoint.every_steps = 5;
    ToyRun whole = toy_run(spec, nullptr, torch::kFloat32, folder.path().toStdString());
    whole.trainer->run();
    fs::path file;
    for (const auto& entry :
         fs::directory_iterator(fs::path(folder.path().toStdString()) / "checkpoints")) {
      if (entry.path().filename().string().starts_with("step-00000005")) {
        file = entry.path();
      }
    }
    QVERIFY(!file.empty());
    ToyRun rest = toy_run(spec,
                          nullptr,
                          torch::kFloat32,
                          other.path().toStdString(),
                          train::ResumePoint{file, 100, 7, "Goes on."});
    rest.trainer->run();
    QVERIFY(equal_bits(weights(*whole.model), weights(*rest.model)));
    const auto expected = shadow_values(*whole.sink, 5);
    QVERIFY(!expected.empty());
    QVERIFY(expected == shadow_values(*rest.sink, 5));
  }

  void rowsWithoutModulesCostNoComparison() {
    contract::RunSpec spec = with_shadows(spec_of("sgd", 6));
    spec.telemetry.module_interval = 3;
    ToyRun run = toy_run(spec);
    run.trainer->run();
    const std::string module = run.trainer->modules().front();
    for (const contract::StepRecord& row : run.sink->rows) {
      const bool there = run.sink->value(row, "shadow/lars-1/cos/" + module) != -12345;
      QCOMPARE(there, row.step % 3 == 0);
      QVERIFY(run.sink->value(row, "shadow_ms") >= 0);
    }
    // Their states advance all the same.
    spec.telemetry.module_interval = 1;
    ToyRun each = toy_run(spec);
    each.trainer->run();
    QCOMPARE(run.sink->value(run.sink->rows.back(), "shadow/lars-1/update_norm/" + module),
             each.sink->value(each.sink->rows.back(), "shadow/lars-1/update_norm/" + module));
  }

  void commandsAddAndRemove() {
    QTemporaryDir folder;
    ToyRun run = toy_run(spec_of("sgd", 20), nullptr, torch::kFloat32, folder.path().toStdString());
    train::Trainer& trainer = *run.trainer;
    trainer.begin();
    trainer.step();
    const ShadowCommand add{ShadowAction::kAdd, "lamb", "hot", {{"optim.lr", "0.5"}}};
    contract::Reply reply = trainer.apply(add, "user");
    QVERIFY2(reply.ok, reply.error.c_str());
    QVERIFY2(reply.detail.find("MB of state") != std::string::npos, reply.detail.c_str());
    reply = trainer.apply(add, "user");
    QVERIFY(!reply.ok);
    QCOMPARE(reply.field, std::string("optim.shadow.label"));
    trainer.step();
    const std::string curve = "shadow/hot/update_norm/" + trainer.modules().front();
    QVERIFY(run.sink->value(run.sink->rows.back(), curve) > 0);
    // A change of the run's own optimizer leaves the shadow's settings alone.
    QVERIFY(trainer
                .apply(contract::make_command("optimizer", {{"name", "adamw"}, {"lr", "0.001"}}),
                       "user")
                .ok);
    trainer.step();
    const auto& shadow = trainer.state().spec.optim.shadow.at(0);
    QCOMPARE(shadow.set.at("lr"), std::string("0.5"));
    QCOMPARE(contract::shadow_spec(trainer.state().spec, shadow).optim.weight_decay, 1e-4);
    QVERIFY(run.sink->value(run.sink->rows.back(), curve) > 0);
    // Undo goes back to before the switch, where the shadow was there already.
    QVERIFY(trainer.apply(contract::UndoCommand{}, "user").ok);
    QCOMPARE(trainer.state().spec.optim.shadow.size(), std::size_t{1});
    trainer.step();
    QVERIFY(run.sink->value(run.sink->rows.back(), curve) > 0);
    QVERIFY(trainer.apply(ShadowCommand{ShadowAction::kRemove, "", "hot", {}}, "user").ok);
    trainer.step();
    QCOMPARE(run.sink->value(run.sink->rows.back(), curve), -12345.0);
    reply = trainer.apply(ShadowCommand{ShadowAction::kRemove, "", "hot", {}}, "user");
    QVERIFY(!reply.ok);
    QCOMPARE(reply.field, std::string("label"));
    QCOMPARE(run.sink->of_kind("shadow").size(), std::size_t{2});
    QCOMPARE(run.sink->of_kind("shadow")[0].args.at("action"), std::string("add"));
  }

  void tensorsAreRecordedWhenAsked() {
    contract::RunSpec spec = spec_of("lamb", 6);
    spec.telemetry.tensor_interval = 2;
    ToyRun run = toy_run(spec);
    run.trainer->run();
    const auto& parameters = run.trainer->parameters();
    for (const contract::StepRecord& row : run.sink->rows) {
      double squares = 0;
      for (const optim::Parameter& parameter : parameters) {
        const double norm = run.sink->value(row, "tensor/" + parameter.name + "/update_norm");
        QCOMPARE(norm != -12345, row.step % 2 == 0);
        if (parameter.module == 0) {
          squares += norm * norm;
        }
      }
      if (row.step % 2 == 0) {
        const double module = run.sink->value(row, "update_norm/" + run.trainer->modules().front());
        QVERIFY(std::abs(std::sqrt(squares) - module) <= 1e-12 * module);
      }
    }
    ToyRun plain = toy_run(spec_of("lamb", 2));
    plain.trainer->run();
    QCOMPARE(plain.sink->index.count("tensor/" + parameters.front().name + "/update_norm"),
             std::size_t{0});
  }

  void measuredRowsHaveTheVarianceAndBothScales() {
    ToyRun run = toy_run(spec_of("adamw", 6));
    run.trainer->run();
    const contract::StepRecord& row = run.sink->rows.back();
    const std::string module = run.trainer->modules().back();
    const double lr = run.sink->value(row, "lr") * run.sink->value(row, "mu/" + module);
    QCOMPARE(run.sink->value(row, "phi/" + module), lr * lr * run.sink->value(row, "d/" + module));
    QVERIFY(run.sink->value(row, "noise_pre/" + module) != -12345);
    QVERIFY(run.sink->value(row, "noise_pre/" + module) != run.sink->value(row, "noise/" + module));
    QCOMPARE(run.sink->value(row, "horizon_v"), 1 / (1 - run.sink->value(row, "beta2_eff")));
  }
};

BATCHSCOPE_TEST(TestShadows)
#include "tst_shadows.moc"
