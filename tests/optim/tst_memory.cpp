#include "optim/half_dots.h"
#include "tests/optim/cases.h"
#include "tests/support/test_program.h"

#include <ATen/Parallel.h>

#include <QtTest>

#include <limits>

using namespace batchscope::optim;

namespace {

/// Ways in which the memory of a tensor [4, 6, 3, 2] may lie.
torch::Tensor laid(const torch::Tensor& x, int way) {
  switch (way) {
    case 0:
      return x.contiguous();
    case 1:
      return x.contiguous(at::MemoryFormat::ChannelsLast);
    case 2:  // dense, in another order
      return x.permute({3, 1, 0, 2}).contiguous().permute({2, 1, 3, 0});
    case 3: {  // with gaps
      torch::Tensor wide = torch::full({4, 6, 3, 5}, 7.0, x.options());
      wide.narrow(3, 1, 2).copy_(x);
      return wide.narrow(3, 1, 2);
    }
    default:
      return x.to(torch::kDouble);  // of another dtype
  }
}

}  // namespace

/// Weights and gradients as memory: every order, gaps, empty tensors, and norms known beforehand.
class TestMemory : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void every_order_data() { rig::each_case(); }
  void every_order() {
    const Options options = rig::fetched();
    const torch::Tensor start = rig::Numbers(5).tensor({4, 6, 3, 2}, 1.0, torch::kFloat);
    for (int w_way = 0; w_way < 4; ++w_way) {
      for (int g_way = 0; g_way < 5; ++g_way) {
        rig::Rig plain, other;
        plain.add("w", start, 0);
        other.parameters.push_back({"w", 0, laid(start, w_way).detach()});
        other.modules = 1;
        for (rig::Rig* r : {&plain, &other}) {
          r->add("bias", torch::tensor({0.5F, -0.25F}), 0);
          r->add("empty", torch::empty({0, 3}), 0);
          r->make(options);
        }
        for (int t = 1; t <= 4; ++t) {
          const torch::Tensor g = rig::Numbers(t + 40).tensor({4, 6, 3, 2}, 0.1, torch::kFloat);
          const torch::Tensor b = torch::tensor({0.1F, 0.2F}), none = torch::empty({0, 3});
          std::vector<torch::Tensor> given = {laid(g, g_way).clone(), b.clone(), none};
          given[0] = laid(g, g_way);
          QVERIFY(plain.step({g, b, none}, 0.01).applied);
          QVERIFY(other.optimizer->step(given, 0.01, {1.0}).applied);
        }
        const torch::Tensor w = other.parameters[0].tensor;
        QVERIFY2(torch::allclose(plain.weights()[0], w, 1e-6, 1e-7),
                 qPrintable(QString::asprintf("weights %d, gradients %d", w_way, g_way)));
        QCOMPARE(w.strides().vec(), laid(start, w_way).strides().vec());
        // The state is saved in the shape's own order, so it loads into any other.
        for (const auto& [name, value] : other.optimizer->save()) {
          QVERIFY(value.is_contiguous());
        }
        plain.optimizer->load(other.optimizer->save());
        QVERIFY(rig::same_bits(plain.optimizer->save(), other.optimizer->save()));
      }
    }
  }

  /// What stands between the elements of a weight with gaps is not ours.
  void gaps_are_left_alone() {
    torch::Tensor memory = torch::full({3, 4}, 9.0F);
    rig::Rig r;
    r.parameters.push_back({"w", 0, memory.narrow(1, 1, 2)});
    r.modules = 1;
    Options o;
    o.method = Method::kLamb;
    r.make(o);
    r.step({torch::ones({3, 2})}, 0.1);
    QVERIFY((memory.select(1, 0) == 9.0F).all().item<bool>());
    QVERIFY((memory.select(1, 3) == 9.0F).all().item<bool>());
    QVERIFY((memory.narrow(1, 1, 2) != 9.0F).all().item<bool>());
  }

  void weights_know_that_they_changed() {
    rig::Rig r = rig::fixture_f(torch::kFloat);
    r.make(Options());
    const auto before = r.parameters[0].tensor._version();
    r.step(rig::gradients_f(r, 1), 0.1);
    QVERIFY(r.parameters[0].tensor._version() > before);
  }

  void norms_known_beforehand_data() { rig::each_case(); }
  void norms_known_beforehand() {
    rig::Stream a(6, torch::kFloat), b(6, torch::kFloat);
    rig::Rig measured = a.rig(), plain = b.rig();
    const Options options = rig::fetched();
    measured.make(options);
    plain.make(options);
    for (int step = 1; step <= 8; ++step) {
      auto g = a.gradients(step);
      std::vector<double> squares;
      for (torch::Tensor& x : g) {
        x = x.defined() ? x.clone() : x;
        squares.push_back(x.defined() ? x.to(torch::kDouble).square().sum().item<double>() : 0.0);
      }
      const StepReport one = measured.optimizer->step_measured(g, squares, 0.01, {1.0, 1.0});
      const StepReport two = plain.step(b.gradients(step), 0.01);
      QVERIFY(one.applied && std::abs(one.grad_norm - two.grad_norm) < 1e-12);
    }
    for (std::size_t i = 0; i < plain.parameters.size(); ++i) {
      QVERIFY(torch::allclose(plain.weights()[i], measured.weights()[i], 1e-6, 1e-7));
    }
    const auto state = measured.optimizer->save();
    auto g = a.gradients(9);
    std::vector<double> squares(g.size(), 1.0);
    squares[1] = std::numeric_limits<double>::infinity();
    QVERIFY(!measured.optimizer->step_measured(g, squares, 0.01, {1.0, 1.0}).applied);
    QVERIFY(rig::same_bits(state, measured.optimizer->save()));
    squares.pop_back();
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument,
                             measured.optimizer->step_measured(g, squares, 0.01, {1.0, 1.0}));
  }

  /// A tensor of many blocks with one number that is not finite, in the first, a middle or the last
  /// place: weights and state keep every bit.
  void not_finite_in_large_tensors_data() { rig::each_case(); }
  void not_finite_in_large_tensors() {
    rig::Rig r;
    r.add("w", torch::randn({300, 301}), 0);
    r.add("x", torch::randn({5, 7}), 0);
    r.make(rig::fetched());
    r.step({torch::randn({300, 301}), torch::randn({5, 7})}, 0.01);
    const auto state = r.optimizer->save();
    const auto weights = r.weights();
    for (const std::int64_t at : {0, 45000, 300 * 301 - 1}) {
      torch::Tensor g = torch::randn({300, 301});
      g.view({-1})[at] = std::numeric_limits<float>::quiet_NaN();
      QVERIFY(!r.step({g, torch::randn({5, 7})}, 0.01).applied);
      QVERIFY(rig::same_bits(state, r.optimizer->save()));
      QVERIFY(rig::same_bits(weights[0], r.weights()[0]));
      QVERIFY(rig::same_bits(weights[1], r.weights()[1]));
    }
  }

  void same_bits_for_every_number_of_threads_data() { rig::each_case(); }
  void same_bits_for_every_number_of_threads() {
    const int before = at::get_num_threads();
    std::vector<rig::Saved> states;
    std::vector<torch::Tensor> weights;
    for (const int threads : {1, 2}) {
      at::set_num_threads(threads);
      rig::Rig r;
      r.add("w", rig::Numbers(8).tensor({300, 301}, 1.0, torch::kFloat), 0);
      r.add("x", rig::Numbers(9).tensor({50, 70}, 1.0, torch::kFloat), 0);
      r.make(rig::fetched());
      for (int t = 0; t < 3; ++t) {
        r.step({rig::Numbers(t + 20).tensor({300, 301}, 0.1, torch::kFloat),
                rig::Numbers(t + 30).tensor({50, 70}, 0.1, torch::kFloat)},
               0.01);
      }
      states.push_back(r.optimizer->save());
      weights.push_back(r.weights()[0]);
    }
    at::set_num_threads(before);
    QVERIFY(rig::same_bits(states[0], states[1]));
    QVERIFY(rig::same_bits(weights[0], weights[1]));
  }

  void preconditioned_halves_data() { rig::each_case(); }
  void preconditioned_halves() {
    for (const auto dtype : {torch::kFloat, torch::kDouble}) {
      rig::Stream stream(7, dtype);
      rig::Rig r = stream.rig();
      r.make(rig::fetched());
      rig::run(r, stream, 1, 6);
      auto a = stream.gradients(7), b = stream.gradients(11);
      a[0] = a[0].defined() ? a[0].contiguous(at::MemoryFormat::ChannelsLast) : a[0];
      const auto dots = r.optimizer->preconditioned_dots(a, b, 0.5);
      for (std::size_t i = 0; i < a.size(); ++i) {
        const auto one = [&](const torch::Tensor& g) {
          const auto p = static_cast<std::int64_t>(i);
          return g.defined() ? r.optimizer->precondition(p, g, 0.5) : torch::Tensor();
        };
        const HalfDots expected = tensor_dots({one(a[i])}, {one(b[i])}).front();
        const double scale = 1e-5 * std::sqrt(expected.d11 * expected.d22) + 1e-300;
        QVERIFY(std::abs(dots[i].d12 - expected.d12) <= scale);
        QVERIFY(std::abs(dots[i].d11 - expected.d11) <= 1e-5 * expected.d11);
        QVERIFY(std::abs(dots[i].d22 - expected.d22) <= 1e-5 * expected.d22);
      }
    }
  }

  /// The pass over both halves: pairs in other orders, one half missing, an empty list, other
  /// dtypes.
  void halves() {
    const torch::Tensor a = rig::Numbers(1).tensor({4, 6, 3, 2}, 1.0, torch::kFloat);
    const torch::Tensor b = rig::Numbers(2).tensor({4, 6, 3, 2}, 1.0, torch::kFloat);
    const auto dot = [](const torch::Tensor& x, const torch::Tensor& y) {
      return (x.to(torch::kDouble) * y.to(torch::kDouble)).sum().item<double>();
    };
    for (int way = 0; way < 4; ++way) {
      for (int other = 0; other < 4; ++other) {
        const torch::Tensor first = laid(a, way).clone();
        const HalfMean out = halves_mean({first}, {laid(b, other)}, 0.25);
        const torch::Tensor mean = 0.75 * a + 0.25 * b;
        QVERIFY(torch::allclose(out.mean[0], mean, 1e-6, 1e-7));
        QVERIFY(std::abs(out.dots[0].d12 - dot(a, b)) < 1e-5);
        QVERIFY(std::abs(out.dots[0].d11 - dot(a, a)) < 1e-5);
        QVERIFY(std::abs(out.dots[0].d22 - dot(b, b)) < 1e-5);
        QVERIFY(std::abs(out.squares[0] - dot(mean, mean)) < 1e-5);
        QVERIFY(torch::equal(first, a));
      }
    }
    const torch::Tensor kept = a.clone();
    const HalfMean in_place = halves_mean({kept}, {b}, 0.5, true);
    QVERIFY(in_place.mean[0].is_alias_of(kept));
    QVERIFY(torch::equal(kept, torch::lerp(a, b, 0.5)));
    const HalfMean one = halves_mean({a, torch::Tensor()}, {torch::Tensor(), torch::Tensor()}, 0.5);
    QVERIFY(torch::allclose(one.mean[0], 0.5 * a) && !one.mean[1].defined());
    QCOMPARE(one.dots[0].d22, 0.0);
    QVERIFY(tensor_dots({}, {}).empty());
    const auto narrow = tensor_dots({a.to(torch::kBFloat16)}, {b.to(torch::kBFloat16)});
    QVERIFY(std::abs(narrow[0].d12 - dot(a.to(torch::kBFloat16), b.to(torch::kBFloat16))) < 1e-5);
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, tensor_dots({a}, {b.to(torch::kDouble)}));
  }
};

BATCHSCOPE_TEST(TestMemory)
#include "tst_memory.moc"
