#include "engine/data/make_dataset.h"
#include "engine/train/arithmetic.h"
#include "models/factory.h"
#include "tests/support/test_program.h"
#include "tests/support/toy_training.h"

#include <ATen/CPUGeneratorImpl.h>

#include <QTemporaryDir>
#include <QtTest>

#include <cmath>

using namespace batchscope;
using namespace batchscope::testing;

namespace {

contract::StepRecord row_of(const MemorySink& sink, std::int64_t step) {
  for (const contract::StepRecord& row : sink.rows) {
    if (row.step == step) {
      return row;
    }
  }
  return {};
}

}  // namespace

class TestTrainer : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void bf16FollowsFp32_data() {
    QTest::addColumn<QString>("name");
    for (const char* name : {"tiny_faster_rcnn", "tiny_retinanet", "tiny_panoptic_fpn"}) {
      QTest::newRow(name) << QString::fromLatin1(name);
    }
  }
  /// Autocast rounds products to 8 bits of mantissa: losses agree to some percent and gradients in
  /// direction, in the parameters' own type. Without it nothing changes.
  void bf16FollowsFp32() {
    QFETCH(QString, name);
    contract::RunSpec spec;
    spec.model.name = name.toStdString();
    spec.data.size = 64;
    const train::Sample sample = train::make_training_set(spec)->get(0);
    const models::Target target{sample.boxes, sample.labels, sample.masks, sample.semantic};
    const auto pass = [&](const std::string& mode) {
      const auto model = models::make_detector(
          {.name = spec.model.name, .num_classes = 3, .stuff_classes = sample.semantic.defined()});
      model->train();
      torch::Tensor sum = torch::zeros({});
      {
        const train::Arithmetic arithmetic(mode, torch::kCPU);
        for (const auto& [part, value] : model->losses(sample.image.unsqueeze(0),
                                                       {{64, 64}},
                                                       {target},
                                                       at::detail::createCPUGenerator(5))) {
          sum = sum + value;
        }
      }
      sum.backward();
      std::vector<torch::Tensor> gradients;
      for (const torch::Tensor& p : model->parameters()) {
        if (p.grad().defined()) {
          gradients.push_back(p.grad().flatten());
        }
      }
      return std::pair(sum.item<double>(), torch::cat(gradients));
    };
    const auto [full, gradient] = pass("fp32");
    const auto [half, rounded] = pass("bf16");
    QCOMPARE(rounded.scalar_type(), torch::kFloat32);
    QVERIFY(torch::isfinite(gradient).all().item<bool>());
    QVERIFY(torch::isfinite(rounded).all().item<bool>());
    QVERIFY(half != full);
    QVERIFY2(std::abs(half / full - 1) < 0.03, qPrintable(QString::number(half / full)));
    const double cosine = torch::cosine_similarity(gradient, rounded, 0).item<double>();
    QVERIFY2(cosine > 0.98,
             qPrintable(QStringLiteral("%1, norms %2 and %3")
                            .arg(cosine)
                            .arg(gradient.norm().item<double>())
                            .arg(rounded.norm().item<double>())));
    QCOMPARE(pass("fp32").first, full);
  }

  void rowsCountAndAddUp() {
    contract::RunSpec spec = toy_spec("lamb", 12);
    spec.batch.accumulation = 2;
    spec.optim.agvm.start = 3;
    spec.optim.agvm.interval = 4;
    ToyRun run = toy_run(spec);
    const train::Outcome outcome = run.trainer->run();
    QCOMPARE(outcome.code, contract::ExitCode::kDone);
    QCOMPARE(run.sink->final_state, contract::RunState::kFinished);
    const MemorySink& sink = *run.sink;
    QCOMPARE(sink.rows.size(), std::size_t{12});
    for (std::size_t i = 0; i < sink.rows.size(); ++i) {
      const contract::StepRecord& row = sink.rows[i];
      QCOMPARE(row.step, static_cast<std::int64_t>(i) + 1);
      QCOMPARE(row.seq, static_cast<std::int64_t>(i) + 1);
      QCOMPARE(row.images, 8 * row.step);
      QVERIFY(row.seconds > (i == 0 ? 0 : sink.rows[i - 1].seconds));
      const double parts = sink.value(row, "loss/fit") + sink.value(row, "loss/box");
      QVERIFY(std::abs(parts - sink.value(row, "loss")) < 1e-12);
      double squares = 0;
      for (const std::string module : {"backbone", "neck", "head"}) {
        squares += std::pow(sink.value(row, "grad_norm/" + module), 2);
      }
      QVERIFY(std::abs(std::sqrt(squares) / sink.value(row, "grad_norm") - 1) < 1e-6);
      const bool measured = row.step == 3 || row.step == 7 || row.step == 11;
      QCOMPARE(sink.value(row, "d/neck") != -12345, measured);
      for (const std::string name : {"lr",
                                     "images_per_s",
                                     "step_ms",
                                     "diagnostics_percent",
                                     "beta1_eff",
                                     "beta2_eff",
                                     "n_eff_m",
                                     "n_eff_v",
                                     "m_norm/head",
                                     "v_norm/head",
                                     "trust/head",
                                     "lr_eff/head",
                                     "weight_norm/head",
                                     "update_norm/head"}) {
        QVERIFY2(sink.value(row, name) != -12345, name.c_str());
      }
    }
    QCOMPARE(sink.of_kind("start").size(), std::size_t{1});
    QCOMPARE(sink.of_kind("finish").size(), std::size_t{1});
    QCOMPARE(sink.info.modules, (std::vector<std::string>{"backbone", "neck", "head"}));
    QCOMPARE(sink.info.steps, 12);
    QCOMPARE(sink.info.total_images, 96);
  }

  void schedulesCountPictures() {
    contract::RunSpec spec = toy_spec("sgd", 40);
    spec.schedule.warmup.kind = "ramp";
    spec.schedule.warmup.steps = 10;
    ToyRun run = toy_run(spec);
    run.trainer->begin();
    for (int i = 0; i < 4; ++i) {
      run.trainer->step();
    }
    // Doubling the batch doubles the pictures of an update, and with them the pace of the warm-up.
    QVERIFY(run.trainer->apply(contract::AccumulationCommand{2}, "user").ok);
    run.trainer->step();
    run.trainer->step();
    const auto lr = [&](std::int64_t step) {
      return run.sink->value(row_of(*run.sink, step), "lr");
    };
    QVERIFY(std::abs(lr(1) - 0.1 * 1 / 10) < 1e-12);
    QVERIFY(std::abs(lr(4) - 0.1 * 4 / 10) < 1e-12);
    QVERIFY(std::abs(lr(5) - 0.1 * 5 / 10) < 1e-12);
    QVERIFY(std::abs(lr(6) - 0.1 * 7 / 10) < 1e-12);
    QCOMPARE(run.trainer->status().steps, 4 + 18);
  }

  void nonFiniteUpdatesAreSkipped() {
    ToyRun run = toy_run(toy_spec("adamw", 12));
    run.model->spoil_from = 5;
    run.model->spoil_to = 6;
    run.model->spoil = std::nan("");
    run.trainer->begin();
    for (int i = 0; i < 4; ++i) {
      run.trainer->step();
    }
    const auto before = weights(*run.model);
    const std::int64_t t = run.trainer->optimizer().t();
    run.trainer->step();
    run.trainer->step();
    QVERIFY(equal_bits(before, weights(*run.model)));
    QCOMPARE(run.trainer->optimizer().t(), t);
    QCOMPARE(run.trainer->state().step, 6);
    QCOMPARE(run.trainer->state().images, 24);
    QCOMPARE(run.trainer->state().skipped, 2);
    QVERIFY(std::isnan(run.sink->value(row_of(*run.sink, 5), "loss")));
    QCOMPARE(run.sink->value(row_of(*run.sink, 5), "skipped"), 1.0);
    QCOMPARE(run.sink->of_kind("nonfinite").size(), std::size_t{1});
    QCOMPARE(run.sink->of_kind("nonfinite")[0].step, 5);
    run.trainer->step();
    QVERIFY(!equal_bits(before, weights(*run.model)));
    QCOMPARE(run.trainer->optimizer().t(), t + 1);
  }

  void divergenceIsNamedAndNeverSaved() {
    QTemporaryDir folder;
    contract::RunSpec spec = toy_spec("sgd", 60);
    spec.checkpoint.every_steps = 1;
    spec.guard.nonfinite_limit = 3;
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, folder.path().toStdString());
    run.model->spoil_from = 21;
    run.model->spoil_to = 1000;
    run.model->spoil = std::numeric_limits<double>::infinity();
    const train::Outcome outcome = run.trainer->run();
    QCOMPARE(outcome.code, contract::ExitCode::kNonFinite);
    QCOMPARE(run.sink->final_state, contract::RunState::kFailed);
    QCOMPARE(run.sink->exit_code, 6);
    QCOMPARE(run.sink->rows.back().step, 23);
    for (const contract::CheckpointRecord& checkpoint : run.sink->checkpoints) {
      QVERIFY(checkpoint.step <= 20);
    }
    QCOMPARE(run.sink->checkpoints.back().step, 20);
    const auto abnormal = run.sink->of_kind("abnormal");
    QCOMPARE(abnormal.size(), std::size_t{1});
    QCOMPARE(abnormal[0].step, 21);
    QCOMPARE(abnormal[0].args.at("first_step"), std::string("21"));
    QCOMPARE(run.sink->of_kind("diverged").size(), std::size_t{1});
    QVERIFY(outcome.sentence.find("began at step 21") != std::string::npos);
  }

  void lossLimitStopsBeforeTheUpdate() {
    contract::RunSpec spec = toy_spec("sgd", 60);
    ToyRun run = toy_run(spec);
    run.model->spoil_from = 15;
    run.model->spoil_to = 1000;
    run.model->spoil = 1e7;
    run.trainer->begin();
    for (int i = 0; i < 14; ++i) {
      run.trainer->step();
    }
    const auto before = weights(*run.model);
    run.trainer->step();
    QVERIFY(run.trainer->ended());
    QVERIFY(equal_bits(before, weights(*run.model)));
    QVERIFY(run.sink->of_kind("diverged").at(0).text.find("above the limit") != std::string::npos);
    QCOMPARE(run.trainer->finish().code, contract::ExitCode::kNonFinite);
  }

  void divergenceCanPauseAndBeUndone() {
    QTemporaryDir folder;
    contract::RunSpec spec = toy_spec("sgd", 40);
    spec.guard.on_diverge = "pause";
    HandPort port;
    ToyRun run =
        toy_run(spec, nullptr, torch::kFloat32, folder.path().toStdString(), std::nullopt, &port);
    run.trainer->begin();
    for (int i = 0; i < 10; ++i) {
      run.trainer->step();
      run.trainer->boundary();
    }
    const auto good = weights(*run.model);
    QVERIFY(run.trainer->apply(contract::LrCommand{0.2}, "user").ok);
    run.model->spoil_from = 13;
    run.model->spoil_to = 13;
    run.model->spoil = 1e9;
    port.on_wait = [&] {
      QCOMPARE(run.trainer->status().state, contract::RunState::kPaused);
      port.coming.push_back(contract::CheckpointCommand{});
      port.coming.push_back(contract::UndoCommand{});
      port.coming.push_back(contract::ResumeCommand{});
    };
    for (int i = 0; i < 3; ++i) {
      run.trainer->step();
      run.trainer->boundary();
    }
    QCOMPARE(port.replies.size(), std::size_t{3});
    QVERIFY(!port.replies[0].ok);  // nothing is saved after a divergence
    QVERIFY(port.replies[1].ok);
    QCOMPARE(port.replies[1].step, 10);
    QVERIFY(port.replies[2].ok);
    QVERIFY(equal_bits(good, weights(*run.model)));
    QCOMPARE(run.trainer->status().state, contract::RunState::kRunning);
  }

  void guardFindsTheModule() {
    train::Guard guard(contract::GuardSection{});
    for (int step = 1; step <= 30; ++step) {
      const double wobble = 1 + 0.1 * (step % 3);
      const train::GuardVerdict verdict =
          guard.look(step, 2.0, {1.0 * wobble, 5.0 * wobble, 0.1 * wobble}, true);
      QVERIFY(!verdict.diverged);
      QCOMPARE(verdict.abnormal_step, 0);
    }
    // The third module grows first although its norm is the smallest.
    QCOMPARE(guard.look(31, 2.0, {1.5, 7.0, 3.0}, true).abnormal_step, 31);
    QVERIFY(guard.abnormal());
    QVERIFY(!guard.look(32, 50.0, {200.0, 700.0, 90.0}, true).diverged);
    const train::GuardVerdict verdict = guard.look(33, 2e4, {1e6, 1e6, 1e6}, false);
    QVERIFY(verdict.diverged);
    QCOMPARE(verdict.abnormal_step, 31);
    QCOMPARE(verdict.module, 2);
    QVERIFY(verdict.ratio > 20 && verdict.ratio < 40);
  }

  void guardForgetsASpike() {
    train::Guard guard(contract::GuardSection{});
    for (int step = 1; step <= 20; ++step) {
      guard.look(step, 2.0, {1.0}, true);
    }
    guard.look(21, 2.0, {50.0}, true);
    QVERIFY(guard.abnormal());
    for (int step = 22; step <= 41; ++step) {
      guard.look(step, 2.0, {1.0}, true);
    }
    QVERIFY(!guard.abnormal());
  }

  void aRunThatLearnsNothingIsFlagged() {
    train::Guard dead(contract::GuardSection{}), alive(contract::GuardSection{});
    for (int step = 1; step <= 100; ++step) {
      dead.look(step, step <= 10 ? 1.0 : 1.2, {1.0}, true);
      alive.look(step, 1.0 / step, {1.0}, true);
    }
    QVERIFY(dead.never_learned());
    QVERIFY(!alive.never_learned());
    contract::RunSpec spec = toy_spec("sgd", 60);
    spec.optim.lr = 1e-12;
    spec.optim.weight_decay = 0;
    ToyRun run = toy_run(toy_spec("sgd", 60));
    run.trainer->run();
    QVERIFY(!run.sink->of_kind("finish").at(0).args.contains("dead"));
  }

  void evaluationAndTarget() {
    contract::RunSpec spec = toy_spec("sgd", 20);
    spec.eval.every_steps = 5;
    spec.eval.at_end = true;
    spec.eval.probes = 3;
    spec.eval.target = {"AP", 0.0, false};
    ToyRun run = toy_run(spec);
    run.trainer->run();
    QCOMPARE(run.sink->evals.size(), std::size_t{4});
    QCOMPARE(run.sink->evals[0].step, 5);
    QCOMPARE(run.sink->evals[0].pictures, 16);
    for (const char* name :
         {"AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"}) {
      QVERIFY2(run.sink->evals[0].metrics.contains(name), name);
    }
    QCOMPARE(run.sink->probes.size(), std::size_t{3});
    QVERIFY(run.sink->probes[0].png.starts_with("\x89PNG"));
    QVERIFY(!run.sink->probes[0].truth.empty());
    QCOMPARE(run.sink->probes[0].width, 32);
    QVERIFY(run.sink->predictions.size() >= 12);
    QCOMPARE(run.sink->predictions.front().step, 1);  // the strip is not empty until the first one
    const auto target = run.sink->of_kind("target");
    QCOMPARE(target.size(), std::size_t{1});
    QCOMPARE(target[0].args.at("steps"), std::string("5"));
    QCOMPARE(target[0].args.at("images"), std::string("20"));

    spec.eval.target.stop = true;
    ToyRun stopped = toy_run(spec);
    QCOMPARE(stopped.trainer->run().state, contract::RunState::kFinished);
    QCOMPARE(stopped.trainer->state().step, 5);
  }

  void picturesAreGivenAgainOnResume() {
    QTemporaryDir folder;
    const std::filesystem::path place = folder.path().toStdString();
    contract::RunSpec spec = toy_spec("sgd", 8);
    spec.eval.every_steps = 4;
    spec.eval.probes = 2;
    spec.checkpoint.every_steps = 4;
    ToyRun run = toy_run(spec, nullptr, torch::kFloat32, place);
    run.trainer->run();
    QCOMPARE(run.sink->probes.size(), std::size_t{2});
    spec.eval.probes = 3;
    spec.eval.max_pictures = 9;
    const train::ResumePoint point{.checkpoint = place / "checkpoints/step-00000004-segment-0.ckpt",
                                   .next_seq = 100,
                                   .next_segment = 1,
                                   .text = "Goes on.",
                                   .evaluated_step = 4};
    ToyRun rest = toy_run(spec, nullptr, torch::kFloat32, place, point);
    rest.trainer->run();
    QVERIFY(rest.sink->resumed);
    QCOMPARE(rest.sink->probes.size(), std::size_t{3});
    QCOMPARE(rest.sink->probes[0].name, run.sink->probes[0].name);
    QVERIFY(rest.sink->probes[1].name != run.sink->probes[1].name);
    QCOMPARE(rest.sink->predictions.size(), std::size_t{3});
    QCOMPARE(rest.sink->predictions.back().probe, 2);
    QCOMPARE(rest.sink->predictions.back().segment, 1);
  }

  void evaluationIsTheSameOnTwoRanks() {
    contract::RunSpec spec = toy_spec("sgd", 4);
    spec.eval.every_steps = 2;
    spec.eval.batch = 3;
    spec.batch.accumulation = 2;
    ToyRun one = toy_run(spec, nullptr, torch::kFloat64);
    one.trainer->run();
    spec.batch.accumulation = 1;
    spec.batch.ranks = 2;
    std::vector<contract::EvalRecord> evals;
    with_ranks(2, [&](const std::shared_ptr<train::Group>& group) {
      ToyRun run = toy_run(spec, group, torch::kFloat64);
      run.trainer->run();
      if (group->rank() == 0) {
        evals = run.sink->evals;
      }
    });
    QCOMPARE(evals.size(), one.sink->evals.size());
    QCOMPARE(evals[1].pictures, 16);
    for (const auto& [name, value] : one.sink->evals[1].metrics) {
      QVERIFY(std::abs(evals[1].metrics.at(name) - value) < 1e-9);
    }
  }

  void commandsOnTwoRanks() {
    contract::RunSpec spec = toy_spec("sgd", 30);
    spec.batch.ranks = 2;
    std::vector<torch::Tensor> first, second;
    QTemporaryDir folder;
    HandPort port;
    with_ranks(2, [&](const std::shared_ptr<train::Group>& group) {
      const bool leads = group->rank() == 0;
      ToyRun run =
          toy_run(spec, group, torch::kFloat32, folder.path().toStdString(), std::nullopt, &port);
      if (leads) {
        port.coming.push_back(contract::PauseCommand{});
        port.on_wait = [&] {
          contract::OptimizerCommand command;
          command.name = "lamb";
          command.lr = 0.02;
          port.coming = {command,
                         contract::LrCommand{0.01},
                         contract::UndoCommand{},
                         contract::ResumeCommand{}};
        };
      }
      run.trainer->run();
      (leads ? first : second) = weights(*run.model);
      if (leads) {
        QCOMPARE(run.trainer->state().spec.optim.name, std::string("lamb"));
        QCOMPARE(run.trainer->status().lr, 0.02);
      }
    });
    QCOMPARE(port.replies.size(), std::size_t{5});
    for (const contract::Reply& reply : port.replies) {
      QVERIFY2(reply.ok, reply.error.c_str());
      QCOMPARE(reply.step, 1);
    }
    QVERIFY(!first.empty());
    QVERIFY(equal_bits(first, second));
  }

  void stopSavesOrNot() {
    QTemporaryDir folder;
    HandPort port;
    port.coming.push_back(contract::StopCommand{contract::StopMode::kSave});
    ToyRun run = toy_run(toy_spec("sgd", 30),
                         nullptr,
                         torch::kFloat32,
                         folder.path().toStdString(),
                         std::nullopt,
                         &port);
    QCOMPARE(run.trainer->run().state, contract::RunState::kStopped);
    QCOMPARE(run.trainer->state().step, 1);
    QCOMPARE(run.sink->checkpoints.size(), std::size_t{1});
    port.coming.push_back(contract::StopCommand{contract::StopMode::kNow});
    ToyRun now = toy_run(toy_spec("sgd", 30),
                         nullptr,
                         torch::kFloat32,
                         folder.path().toStdString(),
                         std::nullopt,
                         &port);
    QCOMPARE(now.trainer->run().state, contract::RunState::kStopped);
    QVERIFY(now.sink->checkpoints.empty());
  }
};

BATCHSCOPE_TEST(TestTrainer)
#include "tst_trainer.moc"
