#include "tests/optim/cases.h"
#include "tests/support/test_program.h"

#include <QtTest>

using namespace batchscope::optim;

namespace {

double norm_of(const std::vector<torch::Tensor>& list, std::initializer_list<std::size_t> which) {
  double sum = 0;
  for (const std::size_t i : which) {
    if (list[i].defined()) {
      sum += list[i].to(torch::kDouble).square().sum().item<double>();
    }
  }
  return std::sqrt(sum);
}

Options lamb_options(Method method) {
  Options o;
  o.method = method;
  o.eps = 1e-6;
  return o;
}

bool close(double a, double b) {
  return std::abs(a - b) <= 1e-12 + 1e-9 * std::abs(b);
}

}  // namespace

class TestRules : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void dead_tensors_keep_their_bits() {
    for (const Method method : {Method::kLamb, Method::kPmdLamb}) {
      rig::Rig r;
      r.add("alive", torch::tensor({{1.0, 2.0}}, torch::kFloat), 0);
      r.add("dead", torch::tensor({{0.5, 0.25}}, torch::kFloat), 1);
      Options o;
      o.method = method;
      o.eps = 1e-6;
      o.weight_decay = 0.01;
      r.make(o);
      const torch::Tensor before = r.weights()[1];
      StepReport report;
      for (int t = 0; t < 5; ++t) {
        report = r.step({torch::tensor({{0.1F, -0.2F}}), torch::Tensor()}, 0.1);
        QVERIFY(report.applied);
      }
      QVERIFY(rig::same_bits(before, r.weights()[1]));
      QCOMPARE(report.module_update_norm[1], 0.0);
      QCOMPARE(report.module_trust[1], 1.0);
      // With history a zero gradient moves the weights on.
      r.step({torch::Tensor(), torch::tensor({{0.1F, 0.1F}})}, 0.1);
      const torch::Tensor moved = r.weights()[0];
      r.step({torch::Tensor(), torch::tensor({{0.1F, 0.1F}})}, 0.1);
      QVERIFY(!rig::same_bits(moved, r.weights()[0]));
    }
  }

  /// At the end of a period the history is forgotten, which counts as dead.
  void dead_at_the_end_of_a_period() {
    rig::Rig r;
    r.add("w", torch::tensor({{0.5, 0.25}}, torch::kDouble), 0);
    Options o;
    o.method = Method::kPmdLamb;
    o.pmd_period = 3;
    o.pmd_hit_zero = true;
    r.make(o);
    const std::vector<bool> moves = {true, true, false, true};
    for (int t = 0; t < 4; ++t) {
      const torch::Tensor before = r.weights()[0];
      const auto g = t == 2 ? torch::Tensor() : torch::tensor({{0.1, 0.2}}, torch::kDouble);
      r.step({g}, 0.1);
      QCOMPARE(!rig::same_bits(before, r.weights()[0]),
               static_cast<bool>(moves[static_cast<std::size_t>(t)]));
    }
  }

  /// LARS without gradient: the buffer decays, the decay term is left out, so nothing jumps by
  /// 1/tc.
  void lars_without_gradient() {
    rig::Rig r;
    r.add("w", torch::tensor({{3.0, 4.0}}, torch::kDouble), 0);
    Options o;
    o.method = Method::kLars;
    o.weight_decay = 0.1;
    r.make(o);
    r.step({torch::zeros({1, 2}, torch::kDouble)}, 1.0);
    QCOMPARE(r.weight(0, 0), 3.0);
    r.step({torch::tensor({{0.3, 0.4}}, torch::kDouble)}, 1.0);
    const double first = 3.0 - r.weight(0, 0);
    r.step({torch::zeros({1, 2}, torch::kDouble)}, 1.0);
    QVERIFY(close(3.0 - r.weight(0, 0), first * 1.9));
    o.compat_ratio1 = true;
    r.make(o);
    const double before = r.weight(0, 0);
    r.step({torch::zeros({1, 2}, torch::kDouble)}, 1.0);
    QVERIFY(close(r.weight(0, 0), before * 0.9));
  }

  void zero_weights_leave_zero() {
    for (const Method method : {Method::kLars, Method::kLamb}) {
      rig::Rig r;
      r.add("w", torch::zeros({1, 2}, torch::kDouble), 0);
      Options o;
      o.method = method;
      r.make(o);
      const StepReport report = r.step({torch::tensor({{0.1, 0.2}}, torch::kDouble)}, 0.1);
      QCOMPARE(report.module_trust[0], 1.0);
      QVERIFY(r.weight(0, 0) != 0);
    }
  }

  void trust_is_clamped() {
    rig::Rig r;
    r.add("w", torch::full({1, 2}, 1e6, torch::kDouble), 0);
    r.add("small", torch::full({1, 2}, 1e-6, torch::kDouble), 1);
    r.add("bias", torch::full({2}, 1e6, torch::kDouble), 1);
    Options o;
    o.method = Method::kLamb;
    o.weight_decay = 1e-9;
    r.make(o);
    const auto g = torch::ones({1, 2}, torch::kDouble);
    const StepReport report = r.step({g, g, torch::ones({2}, torch::kDouble)}, 0.1);
    QCOMPARE(report.module_trust[0], 10.0);
    QCOMPARE(report.module_trust[1], 0.01);  // the bias is excluded, not averaged in
    QVERIFY(close(report.module_lr[1], 0.001));
    QCOMPARE(report.module_clamped, (std::vector<double>{1, 1}));
    r.optimizer->set_diagnostics(false);
    o.trust_clamp = false;
    r.optimizer->set_options(o);
    const StepReport free = r.step({g, g, torch::ones({2}, torch::kDouble)}, 0.1);
    QCOMPARE(free.module_clamped, (std::vector<double>{0, 0}));
    QVERIFY(free.tensors.update.empty());
  }

  void betas_change_live() {
    // Of a constant gradient the mean is that gradient, whatever the betas were meanwhile.
    rig::Rig r;
    r.add("w", torch::tensor({{1.0, -2.0}}, torch::kDouble), 0);
    Options o;
    o.method = Method::kAdamW;
    r.make(o);
    const torch::Tensor g = torch::tensor({{0.3, -0.1}}, torch::kDouble);
    const double betas[][2] = {{0.9, 0.999}, {0.5, 0.9}, {0.99, 0.99}, {0.0, 0.5}};
    for (const auto& [beta1, beta2] : betas) {
      o.beta1 = beta1;
      o.beta2 = beta2;
      r.optimizer->set_options(o);
      for (int t = 0; t < 3; ++t) {
        r.step({g.clone()}, 1e-3);
        const CanonicalState s = r.optimizer->canonical()[0];
        QVERIFY(torch::allclose(s.mhat, g, 1e-12, 0));
        QVERIFY(torch::allclose(s.vhat, g.square(), 1e-12, 0));
      }
    }
    // The same for SGD's momentum and dampening.
    Options sgd;
    sgd.weight_decay = 0;
    r.make(sgd);
    const double changes[][2] = {{0.9, 0}, {0.5, 0.5}, {0.9, 0.9}, {0.8, 0}};
    for (const auto& [momentum, dampening] : changes) {
      sgd.momentum = momentum;
      sgd.dampening = dampening;
      r.optimizer->set_options(sgd);
      for (int t = 0; t < 3; ++t) {
        r.step({g.clone()}, 1e-3);
        QVERIFY(torch::allclose(r.optimizer->canonical()[0].mhat, g, 1e-12, 0));
      }
    }
  }

  void period_changes_live() {
    rig::Rig r;
    r.add("w", torch::tensor({{1.0, -2.0}}, torch::kDouble), 0);
    Options o;
    o.method = Method::kPmdLamb;
    o.pmd_period = 10;
    o.pmd_curve = PmdCurve::kLinear;
    o.pmd_start = 1;
    r.make(o);
    const auto next = [&] { return r.step({torch::ones({1, 2}, torch::kDouble)}, 1e-3).pmd_c; };
    QCOMPARE(next(), 1.0);  // LAMB before the start
    for (int k = 0; k < 5; ++k) {
      QVERIFY(close(next(), 1 - k / 10.0));
    }
    o.pmd_period = 4;  // the next phase, 5 of 10, becomes 2 of 4
    r.optimizer->set_options(o);
    QVERIFY(close(next(), 0.5));
    QVERIFY(close(next(), 0.25));
    QVERIFY(close(next(), 1.0));
    o.pmd_start = 500;  // a period that runs goes on
    r.optimizer->set_options(o);
    QVERIFY(close(next(), 0.75));
  }

  void clipping() {
    const double norm = std::sqrt(0.01 + 0.04 + 0.09);
    for (const ClipForm form : {ClipForm::kTorch, ClipForm::kLamb}) {
      rig::Rig f = rig::fixture_f(torch::kDouble);
      Options o;
      o.momentum = 0;
      o.weight_decay = 0;
      o.clip_norm = 0.1;
      o.clip_form = form;
      f.make(o);
      const StepReport report = f.step(rig::gradients_f(f, 1), 1.0);
      const double factor = 0.1 / (norm + (form == ClipForm::kTorch ? 1e-6 : 0.0));
      QVERIFY(close(report.grad_norm, norm));
      QVERIFY(std::abs(report.clip_factor - factor) < 1e-12);
      QVERIFY(std::abs(f.weight(1, 0) - (0.5 - 0.3 * factor)) < 1e-12);
      o.clip_norm = 10;
      f.make(o);
      QCOMPARE(f.step(rig::gradients_f(f, 1), 1.0).clip_factor, 1.0);
    }
  }

  void factors_scale_modules() {
    rig::Rig f = rig::fixture_f(torch::kDouble);
    Options o;
    o.momentum = 0;
    o.weight_decay = 0;
    f.make(o);
    auto g = rig::gradients_f(f, 1);
    const StepReport report = f.optimizer->step(g, 0.1, {1.0, 3.0});
    QVERIFY(close(f.weight(0, 0), 1.0 - 0.1 * 0.1));
    QVERIFY(close(f.weight(1, 0), 0.5 - 0.1 * 3 * 0.3));
    QVERIFY(close(report.module_lr[1], 0.3));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, f.optimizer->step(g, 0.1, {1.0}));
    g.pop_back();
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, f.optimizer->step(g, 0.1, {1.0, 1.0}));
    g = {torch::zeros({3}, torch::kDouble), torch::zeros({1}, torch::kDouble)};
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, f.optimizer->step(g, 0.1, {1.0, 1.0}));
  }

  void diagnostics_data() { rig::each_case(); }

  void diagnostics() {
    rig::Stream stream(4, torch::kDouble);
    rig::Rig r = stream.rig();
    const Options options = rig::fetched();
    r.make(options);
    rig::run(r, stream, 1, 5);
    const auto before = r.weights();
    const auto g = stream.gradients(6);
    const StepReport report = r.step(g, 0.01);
    const auto after = r.weights();
    std::vector<torch::Tensor> change;
    for (std::size_t i = 0; i < after.size(); ++i) {
      change.push_back(after[i] - before[i]);
    }
    QVERIFY(close(report.module_grad_norm[0], norm_of(g, {0, 1})));
    QVERIFY(close(report.module_grad_norm[1], norm_of(g, {2, 3, 4})));
    QVERIFY(close(report.grad_norm, norm_of(g, {0, 1, 2, 3, 4})));
    QVERIFY(close(report.module_weight_norm[1], norm_of(before, {2, 3, 4})));
    QVERIFY(close(report.module_update_norm[0], norm_of(change, {0, 1})));
    QVERIFY(close(report.module_update_norm[1], norm_of(change, {2, 3, 4})));
    const bool adaptive = options.method != Method::kSgd && options.method != Method::kLars;
    if (adaptive) {
      std::vector<torch::Tensor> m, v;
      for (const CanonicalState& s : r.optimizer->canonical()) {
        m.push_back(s.mhat);
        v.push_back(s.vhat);
      }
      QVERIFY(close(report.module_m_norm[1], norm_of(m, {2, 3, 4})));
      QVERIFY(close(report.module_v_norm[1], norm_of(v, {2, 3, 4})));
    } else {
      QVERIFY(report.module_m_norm[0] > 0);
      QCOMPARE(report.module_v_norm, std::vector<double>({0.0, 0.0}));
    }
    QVERIFY(report.n_eff_m > 1);
    QCOMPARE(report.n_eff_v > 0, adaptive);
    // Without them the update is the same.
    rig::Stream again(4, torch::kDouble);
    rig::Rig quiet = again.rig();
    quiet.make(options);
    quiet.optimizer->set_diagnostics(false);
    rig::run(quiet, again, 1, 5);
    const StepReport less = quiet.step(again.gradients(6), 0.01);
    QVERIFY(less.module_weight_norm.empty() && less.module_m_norm.empty());
    QCOMPARE(less.module_grad_norm, report.module_grad_norm);
    QCOMPARE(less.module_trust, report.module_trust);
    for (std::size_t i = 0; i < after.size(); ++i) {
      QVERIFY(rig::same_bits(after[i], quiet.parameters[i].tensor));
    }
  }

  /// Channels-last weights and scalars train as any other.
  void layouts() {
    rig::Rig plain, last;
    const torch::Tensor w = rig::Numbers(3).tensor({2, 3, 2, 2}, 1.0, torch::kFloat);
    plain.add("w", w, 0);
    last.add("w", w.contiguous(at::MemoryFormat::ChannelsLast), 0);
    plain.add("s", torch::tensor(0.5F), 0);
    last.add("s", torch::tensor(0.5F), 0);
    Options o;
    o.method = Method::kLamb;
    plain.make(o);
    last.make(o);
    for (int t = 0; t < 3; ++t) {
      const torch::Tensor g = rig::Numbers(t + 9).tensor({2, 3, 2, 2}, 1.0, torch::kFloat);
      plain.step({g, torch::tensor(0.1F)}, 0.1);
      last.step({g.contiguous(at::MemoryFormat::ChannelsLast), torch::tensor(0.1F)}, 0.1);
    }
    // A norm adds up in the order of the memory.
    QVERIFY(torch::allclose(plain.weights()[0], last.weights()[0], 1e-6, 1e-7));
    QVERIFY(!last.parameters[0].tensor.is_contiguous());
    QVERIFY(torch::equal(plain.weights()[1], last.weights()[1]));
  }

  /// Effective numbers of gradients in v over a period of 200 (algorithms.md 6.2).
  void memory_data() {
    QTest::addColumn<int>("variant");
    QTest::addColumn<QList<double>>("golden");
    const auto id = [](PmdVariant v) { return static_cast<int>(v); };
    QTest::newRow("moment_scale") << id(PmdVariant::kMomentScale)
                                  << QList<double>{
                                         2.0, 12.0, 21.9, 30.8, 33.4, 12.3, 5.2, 3.1, 1.3, 1.0};
    QTest::newRow("beta_scale") << id(PmdVariant::kBetaScale)
                                << QList<double>{1.0, 1.1, 1.5, 3.3, 10.4, 9.2, 4.9, 3.0, 1.3, 1.0};
    QTest::newRow("readout") << id(PmdVariant::kReadout)
                             << QList<double>{1999, 1999, 1999, 1998, 1996, 1991, 1853, 1.1};
  }
  void memory() {
    QFETCH(int, variant);
    QFETCH(QList<double>, golden);
    const bool readout = variant == static_cast<int>(PmdVariant::kReadout);
    const QList<int> phases = readout ? QList<int>{0, 10, 40, 60, 80, 100, 150, 199}
                                      : QList<int>{0, 10, 20, 30, 40, 60, 80, 100, 150, 199};
    rig::Rig one;
    one.add("w", torch::tensor({1.0}, torch::kDouble), 0);
    Options o = lamb_options(Method::kPmdLamb);
    o.pmd_variant = static_cast<PmdVariant>(variant);
    o.pmd_period = 200;
    one.make(o);
    one.optimizer->set_diagnostics(false);
    const int periods = readout ? 60 : 8;
    std::vector<torch::Tensor> g = {torch::tensor({0.5}, torch::kDouble)};
    for (int t = 0; t < 200 * (periods - 1); ++t) {
      one.step(g, 1e-6);
    }
    int line = 0;
    for (int k = 0; k < 200; ++k) {
      const StepReport report = one.step(g, 1e-6);
      if (line < phases.size() && phases[line] == k) {
        const double half = golden[line] >= 100 ? 0.51 : 0.051;
        QVERIFY2(std::abs(report.n_eff_v - golden[line]) <= half,
                 qPrintable(QString::asprintf(
                     "phase %d: %.3f, table %.1f", k, report.n_eff_v, golden[line])));
        ++line;
      }
    }
    QCOMPARE(line, static_cast<int>(phases.size()));
  }
  void memory_of_lamb() {
    rig::Rig one;
    one.add("w", torch::tensor({1.0}, torch::kDouble), 0);
    one.make(lamb_options(Method::kLamb));
    one.optimizer->set_diagnostics(false);
    StepReport report;
    for (int t = 0; t < 10000; ++t) {
      report = one.step({torch::tensor({0.5}, torch::kDouble)}, 1e-6);
    }
    QVERIFY(std::abs(report.n_eff_v - 1999) < 0.5);
    QVERIFY(std::abs(report.n_eff_m - 19) < 1e-9);
    QCOMPARE(report.beta1_eff, 0.9);
    QCOMPARE(report.beta2_eff, 0.999);
  }
};

BATCHSCOPE_TEST(TestRules)
#include "tst_rules.moc"
