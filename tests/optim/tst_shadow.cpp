#include "optim/shadow.h"
#include "tests/optim/cases.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <limits>

using namespace batchscope::optim;

namespace {

const std::vector<double> kOnes = {1.0, 1.0};

Options real_options() {
  Options o;
  o.method = Method::kSgd;
  o.weight_decay = 0.01;
  return o;
}

/// A copy, since a step may use its gradients as scratch.
std::vector<torch::Tensor> copies(const std::vector<torch::Tensor>& list) {
  std::vector<torch::Tensor> out;
  for (const torch::Tensor& x : list) {
    out.push_back(x.defined() ? x.clone() : x);
  }
  return out;
}

double distance(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

}  // namespace

class TestShadow : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  /// The same optimizer is run for real beside the shadow, on weights that are put back to those of
  /// the training before every step.
  void advances_as_the_optimizer_does_data() { rig::each_case(); }
  void advances_as_the_optimizer_does() {
    const Options options = rig::fetched();
    rig::Stream stream(1, torch::kDouble), other(1, torch::kDouble);
    rig::Rig training = stream.rig(), twin = other.rig(),
             alone = rig::Stream(1, torch::kDouble).rig();
    training.make(real_options());
    alone.make(real_options());
    twin.make(options);
    Shadows shadows(training.parameters, training.modules);
    shadows.add(options);
    for (int step = 1; step <= 25; ++step) {
      const auto grads = stream.gradients(step);
      const double lr = rig::rate(0.01, step);
      twin.set_weights(training.weights());
      const auto before = training.weights();
      const StepReport real = twin.step(copies(grads), lr);
      shadows.advance(grads, {lr}, kOnes, true);
      for (std::size_t i = 0; i < before.size(); ++i) {
        QVERIFY(rig::same_bits(before[i], training.parameters[i].tensor));
      }
      training.step(copies(grads), lr);
      alone.step(copies(grads), lr);
      const auto reports = shadows.compare();
      QCOMPARE(reports.size(), std::size_t{1});
      QVERIFY(reports[0].applied);
      QCOMPARE(reports[0].update_norm, real.module_update_norm);
      QCOMPARE(reports[0].lr, real.module_lr);
      QVERIFY(rig::same_bits(shadows.at(0).save(), twin.optimizer->save()));
    }
    for (std::size_t i = 0; i < training.parameters.size(); ++i) {
      QVERIFY(rig::same_bits(training.parameters[i].tensor, alone.parameters[i].tensor));
    }
  }

  void leaves_out_the_change_of_a_step_data() { rig::each_case(); }
  void leaves_out_the_change_of_a_step() {
    const Options options = rig::fetched();
    rig::Stream stream(3, torch::kDouble);
    rig::Rig shadow = stream.rig(), real = rig::Stream(3, torch::kDouble).rig();
    shadow.make(options);
    real.make(options);
    const auto before = real.weights();
    const auto grads = stream.gradients(1);
    const auto kept = copies(grads);
    std::vector<torch::Tensor> change;
    const StepReport report = shadow.optimizer->shadow_step(grads, 0.01, kOnes, &change);
    QVERIFY(report.applied);
    real.step(copies(grads), 0.01);
    for (std::size_t i = 0; i < before.size(); ++i) {
      QVERIFY(rig::same_bits(shadow.parameters[i].tensor, before[i]));
      QVERIFY(!grads[i].defined() || rig::same_bits(grads[i], kept[i]));
      QVERIFY(distance(change[i], real.parameters[i].tensor.detach() - before[i]) < 1e-12);
    }
    // Without anyone who asks for the change the state is the same.
    real.optimizer->shadow_step(stream.gradients(2), 0.01, kOnes, nullptr);
    QCOMPARE(real.optimizer->t(), std::int64_t{2});
  }

  void the_same_method_points_the_same_way_data() { rig::each_case(); }
  void the_same_method_points_the_same_way() {
    rig::Stream stream(5, torch::kDouble);
    rig::Rig training = stream.rig();
    training.make(rig::fetched());
    Shadows shadows(training.parameters, training.modules);
    shadows.add(rig::fetched());
    for (int step = 1; step <= 12; ++step) {
      auto grads = stream.gradients(step);
      // Half the rate: the same direction, half as far.
      shadows.advance(grads, {0.005}, kOnes, true);
      const StepReport real = training.step(grads, 0.01);
      const auto reports = shadows.compare();
      for (std::size_t m = 0; m < kOnes.size(); ++m) {
        QVERIFY2(
            std::abs(reports[0].cosine[m] - 1) < 1e-9 || training.optimizer->options().lars_pre,
            qPrintable(QString::number(reports[0].cosine[m], 'g', 17)));
        if (!training.optimizer->options().lars_pre) {
          QVERIFY(std::abs(reports[0].update_norm[m] / real.module_update_norm[m] - 0.5) < 1e-9);
        }
      }
    }
  }

  void skips_what_the_training_skips() {
    rig::Rig f = rig::fixture_f(torch::kFloat);
    f.make(real_options());
    Options lamb;
    lamb.method = Method::kLamb;
    lamb.eps = 1e-6;
    Shadows shadows(f.parameters, f.modules);
    shadows.add(lamb);
    shadows.advance(rig::gradients_f(f, 1), {0.1}, kOnes, false);
    QCOMPARE(shadows.compare().size(), std::size_t{0});
    const auto before = shadows.at(0).save();
    auto grads = rig::gradients_f(f, 2);
    grads[1].fill_(std::numeric_limits<float>::infinity());
    shadows.advance(grads, {0.1}, kOnes, true);
    QVERIFY(!f.step(grads, 0.1).applied);
    const auto reports = shadows.compare();
    QVERIFY(!reports[0].applied);
    QVERIFY(reports[0].cosine.empty());
    QVERIFY(rig::same_bits(before, shadows.at(0).save()));
  }

  void nothing_moves_has_no_direction() {
    rig::Rig f = rig::fixture_f(torch::kFloat);
    f.make(real_options());
    Shadows shadows(f.parameters, f.modules);
    shadows.add(real_options());
    shadows.advance(rig::gradients_f(f, 1), {0.0}, kOnes, true);
    f.step(rig::gradients_f(f, 1), 0.1);
    const auto reports = shadows.compare();
    QVERIFY(std::isnan(reports[0].cosine[0]));
    QCOMPARE(reports[0].update_norm[0], 0.0);
  }

  void states_its_memory() {
    rig::Rig f = rig::fixture_f(torch::kFloat);
    Shadows shadows(f.parameters, f.modules);
    QCOMPARE(shadows.state_bytes() + shadows.scratch_bytes(), std::int64_t{0});
    Options lamb;
    lamb.method = Method::kLamb;
    shadows.add(lamb);
    shadows.add(real_options());
    // Three parameters of 4 bytes; two floats of state for LAMB, one for SGD.
    QCOMPARE(shadows.state_bytes(), std::int64_t{3 * 12});
    QCOMPARE(shadows.scratch_bytes(), std::int64_t{3 * 12});
    shadows.remove(0);
    QCOMPARE(shadows.count(), std::size_t{1});
    QCOMPARE(shadows.at(0).options().method, Method::kSgd);
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument,
                             shadows.advance(rig::gradients_f(f, 1), {}, kOnes, false));
  }
};

BATCHSCOPE_TEST(TestShadow)
#include "tst_shadow.moc"
