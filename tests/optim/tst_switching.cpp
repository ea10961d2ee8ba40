#include "optim/switching.h"
#include "tests/optim/fixture_options.h"
#include "tests/optim/rig.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <limits>

using namespace batchscope::optim;

namespace {

const nlohmann::json& fixture() {
  static const nlohmann::json kFixture = rig::read_fixture("switch_runs.json");
  return kFixture;
}
Options method_options(const std::string& name) {
  return rig::options_from(fixture().at("methods").at(name));
}
double method_lr(const std::string& name) {
  return fixture().at("methods").at(name).at("lr");
}

const char* const kMethods[] = {"sgd", "adamw", "lars", "lamb", "pmd_lamb"};

/// Updates first..last of the stream with the method's rates.
void run(rig::Rig& r, rig::Stream& stream, const std::string& method, int first, int last) {
  for (int step = first; step <= last; ++step) {
    r.step(stream.gradients(step), rig::rate(method_lr(method), step));
  }
}

bool same_weights(const rig::Rig& a, const rig::Rig& b) {
  for (std::size_t i = 0; i < a.parameters.size(); ++i) {
    if (!rig::same_bits(a.parameters[i].tensor, b.parameters[i].tensor)) {
      return false;
    }
  }
  return true;
}

}  // namespace

class TestSwitching : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  /// algorithms.md 10.6.
  void sgd_to_lamb_golden_data() {
    QTest::addColumn<int>("type");
    QTest::newRow("float64") << static_cast<int>(torch::kDouble);
    QTest::newRow("float32") << static_cast<int>(torch::kFloat);
  }
  void sgd_to_lamb_golden() {
    QFETCH(int, type);
    const auto dtype = static_cast<torch::ScalarType>(type);
    rig::Rig f = rig::fixture_f(dtype);
    Options sgd;
    sgd.weight_decay = 0.01;
    f.make(sgd);
    f.step(rig::gradients_f(f, 1), 0.1);
    f.step(rig::gradients_f(f, 2), 0.1);
    Options lamb;
    lamb.method = Method::kLamb;
    lamb.eps = 1e-6;
    lamb.weight_decay = 0.01;
    lamb.trust_clamp = lamb.exclude_1d = lamb.skip_dead = false;
    f.optimizer = switch_optimizer(*f.optimizer, lamb, f.parameters, 2, StatePolicy::kCarry);
    const auto canonical = f.optimizer->canonical();
    const double mhat[] = {0.07389521, -0.04232725, 0.03706577};
    const double vhat[] = {0.00908655, 0.00541765, 0.00274774};
    for (std::size_t i = 0; i < 3; ++i) {
      const CanonicalState& s = canonical[i / 2];
      QVERIFY(rig::near(rig::numbers(s.mhat)[i % 2], mhat[i], dtype));
      QVERIFY(rig::near(rig::numbers(s.vhat)[i % 2], vhat[i], dtype));
      QVERIFY(rig::near(s.mass1, 0.19, torch::kDouble));
      QVERIFY(rig::near(s.mass2, 0.00995512, torch::kDouble));
    }
    QCOMPARE(f.optimizer->t(), std::int64_t{2});
    // A guess worth ten updates: n_eff of v is 10, one more gives 11 (up to beta's forgetting).
    const auto du = f.optimizer->preview(rig::gradients_f(f, 3));
    const double trust[] = {3.84228463, 0.97651155}, u[] = {-0.48939170, -0.29412312, 0.47268309};
    const StepReport report = f.step(rig::gradients_f(f, 3), 0.1);
    for (std::size_t i = 0; i < 3; ++i) {
      QVERIFY(rig::near(report.module_trust[i / 2], trust[i / 2], dtype));
      QVERIFY(rig::near(-rig::numbers(du[i / 2])[i % 2] / report.module_trust[i / 2], u[i], dtype));
    }
    QVERIFY(std::abs(report.n_eff_v - 11) < 0.05);
    QVERIFY(rig::near(f.weight(0, 0), 1.16114922, dtype));
    QVERIFY(rig::near(f.weight(0, 1), -1.85321153, dtype));
    QVERIFY(rig::near(f.weight(1, 0), 0.41542245, dtype));
  }

  /// Every cell of the matrix against a plain transcription (make_optim_fixtures.py).
  void matrix_data() {
    QTest::addColumn<int>("index");
    const auto& cells = fixture().at("switches");
    QCOMPARE(cells.size(), std::size_t{25});
    for (std::size_t i = 0; i < cells.size(); ++i) {
      QTest::addRow("%s to %s",
                    cells[i].at("from").get<std::string>().c_str(),
                    cells[i].at("to").get<std::string>().c_str())
          << static_cast<int>(i);
    }
  }
  void matrix() {
    QFETCH(int, index);
    const nlohmann::json& cell = fixture().at("switches").at(static_cast<std::size_t>(index));
    const std::string from = cell.at("from"), to = cell.at("to");
    for (const auto dtype : {torch::kDouble, torch::kFloat}) {
      rig::Stream stream(4242, dtype);
      rig::Rig r = stream.rig();
      r.make(method_options(from));
      run(r, stream, from, 1, 8);
      r.optimizer = switch_optimizer(
          *r.optimizer, method_options(to), r.parameters, r.modules, StatePolicy::kCarry);
      run(r, stream, to, 9, 20);
      QCOMPARE(r.optimizer->t(), std::int64_t{20});
      const double gap = rig::distance(r.weights(), cell.at("weights"));
      QVERIFY2(gap < (dtype == torch::kDouble ? 1e-11 : 1e-4), qPrintable(QString::number(gap)));
    }
  }

  /// Going back to the saved state, or to the old optimizer, is as if nothing had happened.
  void undo_is_exact_data() {
    QTest::addColumn<QByteArray>("from");
    for (const char* name : kMethods) {
      QTest::newRow(name) << QByteArray(name);
    }
  }
  void undo_is_exact() {
    QFETCH(QByteArray, from);
    const std::string old = from.toStdString();
    for (const char* other : kMethods) {
      rig::Stream a(99, torch::kFloat), b(99, torch::kFloat);
      rig::Rig straight = a.rig(), undone = b.rig();
      straight.make(method_options(old));
      undone.make(method_options(old));
      run(straight, a, old, 1, 9);
      run(undone, b, old, 1, 9);
      const auto point = undone.optimizer->save();
      const auto weights = undone.weights();
      const rig::Stream at_point = b;
      undone.optimizer = switch_optimizer(
          *undone.optimizer, method_options(other), undone.parameters, 2, StatePolicy::kCarry);
      run(undone, b, other, 10, 15);
      QVERIFY(!same_weights(straight, undone));
      undone.make(method_options(old));
      undone.optimizer->load(point);
      undone.set_weights(weights);
      b = at_point;
      run(straight, a, old, 10, 20);
      run(undone, b, old, 10, 20);
      QVERIFY(same_weights(straight, undone));
      QVERIFY(rig::same_bits(straight.optimizer->save(), undone.optimizer->save()));
    }
  }

  /// Between AdamW, LAMB and PMD-LAMB both moments go over bit for bit, there and back.
  void moments_verbatim() {
    rig::Stream stream(5, torch::kFloat);
    rig::Rig r = stream.rig();
    r.make(method_options("lamb"));
    run(r, stream, "lamb", 1, 9);
    const auto before = r.optimizer->save();
    const auto w = r.weights();
    for (const char* name : {"adamw", "pmd_lamb", "lamb"}) {
      r.optimizer = switch_optimizer(
          *r.optimizer, method_options(name), r.parameters, 2, StatePolicy::kCarry);
    }
    auto after = r.optimizer->save();
    // Only the phase of a period differs, which LAMB does not read.
    QCOMPARE(before.back().first, std::string("scalar/phase"));
    after.back().second.copy_(before.back().second);
    QVERIFY(rig::same_bits(before, after));
    for (std::size_t i = 0; i < w.size(); ++i) {
      QVERIFY(rig::same_bits(w[i], r.parameters[i].tensor));
    }
  }

  void period_begins_at_the_switch() {
    rig::Stream stream(6, torch::kDouble);
    rig::Rig r = stream.rig();
    r.make(method_options("lamb"));
    run(r, stream, "lamb", 1, 7);
    Options pmd = method_options("pmd_lamb");
    pmd.pmd_start = 1000;
    pmd.pmd_period = 4;
    r.optimizer = switch_optimizer(*r.optimizer, pmd, r.parameters, 2, StatePolicy::kCarry);
    const double c[] = {1, 0.5 * (1 + std::sqrt(0.5)), 0.5, 0.5 * (1 - std::sqrt(0.5)), 1};
    for (int i = 0; i < 5; ++i) {
      QVERIFY(std::abs(r.step(stream.gradients(8 + i), 0.01).pmd_c - c[i]) < 1e-15);
    }
  }

  /// The seeded second moment keeps Adam's bound |mhat|/sqrt(vhat) < 1.
  void seed_bounds_the_update() {
    rig::Stream stream(7, torch::kDouble);
    rig::Rig r = stream.rig();
    r.make(method_options("sgd"));
    run(r, stream, "sgd", 1, 12);
    for (const auto policy : {StatePolicy::kCarry, StatePolicy::kConvert}) {
      const auto next =
          switch_optimizer(*r.optimizer, method_options("adamw"), r.parameters, 2, policy);
      for (const CanonicalState& s : next->canonical()) {
        QVERIFY((s.mhat.abs() < s.vhat.sqrt() + 1e-300).all().item<bool>());
        QVERIFY(s.mass2 > 0);
      }
    }
  }

  void convert_and_reset() {
    rig::Stream stream(8, torch::kDouble);
    rig::Rig r = stream.rig();
    r.make(method_options("adamw"));
    run(r, stream, "adamw", 1, 12);
    const auto old = r.optimizer->canonical();
    const auto converted =
        switch_optimizer(
            *r.optimizer, method_options("lamb"), r.parameters, 2, StatePolicy::kConvert)
            ->canonical();
    for (std::size_t i = 0; i < old.size(); ++i) {
      QVERIFY(torch::allclose(converted[i].mhat, old[i].mhat, 1e-13, 1e-15));
      const torch::Tensor square = old[i].mhat.square();
      QVERIFY(torch::allclose(converted[i].vhat, square + square.mean(), 1e-13, 1e-15));
    }
    for (const char* name : kMethods) {
      auto reset = switch_optimizer(
          *r.optimizer, method_options(name), r.parameters, 2, StatePolicy::kReset);
      QCOMPARE(reset->t(), std::int64_t{12});
      QVERIFY(!reset->canonical()[0].mhat.defined());
      // The first update is that of a new optimizer.
      auto fresh = make_optimizer(method_options(name), r.parameters, 2);
      const auto g = stream.gradients(13);
      const auto a = reset->preview(g), b = fresh->preview(g);
      for (std::size_t i = 0; i < a.size(); ++i) {
        QVERIFY(rig::same_bits(a[i], b[i]));
      }
    }
  }

  /// The buffer of LARS's pre form holds rates; the mean gradient does not.
  void lars_pre_form_carries_no_rate() {
    std::vector<torch::Tensor> means;
    for (const bool pre : {false, true}) {
      rig::Rig one;
      one.add("w", torch::tensor({{0.3, -0.4}, {1.2, 0.5}}, torch::kDouble), 0);
      Options o = method_options("lars");
      o.weight_decay = 0;
      o.lars_pre = pre;
      one.make(o);
      const torch::Tensor g = torch::tensor({{0.2, 0.1}, {-0.3, 0.4}}, torch::kDouble);
      for (int t = 0; t < 5; ++t) {
        one.step({g.clone()}, 1e-9);  // weights stand still, so the ratio does
      }
      means.push_back(one.optimizer->canonical()[0].mhat);
      QVERIFY(torch::allclose(means.back(), g, 1e-7, 0));
      // And back: as a new LARS of either form, the next update has the same size.
      Options sgd = method_options("sgd");
      sgd.weight_decay = 0;
      auto through = switch_optimizer(*one.optimizer, sgd, one.parameters, 1, StatePolicy::kCarry);
      auto back = switch_optimizer(*through, o, one.parameters, 1, StatePolicy::kCarry);
      std::vector<torch::Tensor> grads = {g.clone()};
      const torch::Tensor before = one.weights()[0];
      const auto report = back->step(grads, 1e-3, {1.0});
      QVERIFY(report.applied);
      const double ratio = report.module_trust[0];
      const double mass = 1 + 0.9 * (1 - std::pow(0.9, 5)) / 0.1;
      QVERIFY(torch::allclose(before - one.weights()[0], 1e-3 * ratio * mass * g, 1e-6, 0));
      o.lars_pre = !pre;
      back->set_options(o);
      QVERIFY(torch::allclose(back->canonical()[0].mhat, g, 1e-6, 0));
    }
    QVERIFY(torch::allclose(means[0], means[1], 1e-7, 0));
  }

  void ramp_matches_updates() {
    const auto t = [](std::vector<double> v) { return torch::tensor(v, torch::kDouble); };
    // Module 0 has two tensors: rms sqrt((9 + 16 + 0)/3); module 1: rms 2.
    const std::vector<torch::Tensor> du_old = {t({3, 4}), t({2, -2}), t({0})};
    const std::vector<torch::Tensor> du_new = {t({1, 1}), t({0.5, 0.5}), t({1})};
    LrRamp ramp = match_update_ramp(du_old, du_new, {0, 1, 0}, 2, 0.1, 0.4, 100);
    const double start0 = std::sqrt(25.0 / 3) * 0.1 / 0.4, start1 = 2 * 0.1 / (0.5 * 0.4);
    QVERIFY(std::abs(ramp.factor(0) - start0) < 1e-14);
    QVERIFY(std::abs(ramp.factor(1) - start1) < 1e-14);
    QVERIFY(!ramp.rewarmup);
    for (int n = 0; n < 50; ++n) {
      ramp.tick();
    }
    QVERIFY(std::abs(ramp.factor(0) - std::sqrt(start0)) < 1e-14);
    for (int n = 0; n < 50; ++n) {
      QVERIFY(ramp.active());
      ramp.tick();
    }
    QVERIFY(!ramp.active());
    QCOMPARE(ramp.factor(0), 1.0);
    QCOMPARE(LrRamp{}.factor(3), 1.0);
    // The ramp's first update has the size of the old one.
    QVERIFY(std::abs(start1 * 0.4 * 0.5 - 0.1 * 2) < 1e-15);
  }

  void ramp_is_capped_or_warms_up() {
    const auto t = [](double v) { return torch::tensor({v}, torch::kDouble); };
    const double inf = std::numeric_limits<double>::infinity();
    const LrRamp ramp = match_update_ramp(
        {t(1e9), t(1e-9), t(0), t(1)}, {t(1), t(1), t(1), t(inf)}, {0, 1, 2, 3}, 4, 0.1, 0.1, 10);
    QCOMPARE(ramp.start, std::vector<double>({10, 1e-6, 0, 0}));
    QVERIFY(!ramp.rewarmup);
    QVERIFY(std::abs(ramp.factor(2) - 0.1) < 1e-15);
    LrRamp warm = match_update_ramp({t(0)}, {t(1)}, {0}, 1, 0.1, 0.1, 4);
    QVERIFY(warm.rewarmup);
    for (const double golden : {0.25, 0.5, 0.75, 1.0, 1.0}) {
      QCOMPARE(warm.factor(0), golden);
      warm.tick();
    }
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument,
                             match_update_ramp({t(1)}, {}, {0}, 1, 0.1, 0.1));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument,
                             match_update_ramp({t(1)}, {t(1)}, {1}, 1, 0.1, 0.1));
  }

  void decay_is_mapped() {
    Options sgd = method_options("sgd"), adamw = method_options("adamw");
    adamw.weight_decay = 0.05;
    // The example of algorithms.md 10.5: 5e-6 a step as AdamW; SGD would do 1e-2.
    QVERIFY(std::abs(shrink_per_step(adamw, 1e-4, 1) - 5e-6) < 1e-18);
    sgd.weight_decay = 0.05;
    QVERIFY(std::abs(shrink_per_step(sgd, 0.02, 1) - 1e-2) < 1e-15);
    const double matched = matched_weight_decay(adamw, 1e-4, 1, sgd, 0.02, 1);
    QVERIFY(std::abs(matched - 5e-6 * 0.1 / 0.02) < 1e-18);
    const Options lamb = method_options("lamb"), lars = method_options("lars");
    QVERIFY(std::abs(shrink_per_step(lamb, 0.02, 3) - 0.02 * 3 * 0.01) < 1e-15);
    QVERIFY(std::abs(shrink_per_step(lars, 0.5, 0.01) - 0.5 * 0.01 * 2e-3 / 0.1) < 1e-15);
    QVERIFY(std::abs(matched_weight_decay(lamb, 0.02, 3, lars, 0.5, 0.01) - 0.0006 / 0.05) < 1e-15);
    QCOMPARE(matched_weight_decay(lamb, 0.02, 3, lars, 0, 0.01), lars.weight_decay);
  }
};

BATCHSCOPE_TEST(TestSwitching)
#include "tst_switching.moc"
