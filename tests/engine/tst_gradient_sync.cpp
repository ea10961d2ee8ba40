#include "engine/contract/error.h"
#include "engine/distributed/gradient_sync.h"
#include "tests/support/spawn_ranks.h"
#include "tests/support/test_program.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include <QCoreApplication>
#include <QTest>

#include <cstdio>
#include <map>
#include <thread>
#include <unistd.h>

using namespace batchscope::train;
using batchscope::contract::PeerError;
using batchscope::test::rank_case;
using batchscope::test::spawn_ranks;

namespace {

/// A little network with one tensor over the Reducer's first bucket (1 MiB), one that no loss uses,
/// and one that only even micro-batches use.
struct Toy {
  explicit Toy(torch::Dtype dtype) {
    auto generator = torch::make_generator<at::CPUGeneratorImpl>(5);
    const auto make = [&](at::IntArrayRef shape) {
      const auto drawn = torch::randn(shape, generator, torch::kFloat64) * 0.3;
      parameters.push_back(drawn.to(dtype).requires_grad_());
      return parameters.back();
    };
    first = make({7, 3});
    wide = make({dtype == torch::kFloat64 ? 190 : 380, 700});
    unused = make({4});
    sometimes = make({3});
    bias = make({7});
    last = make({1, 7});
    kernel = make({2, 3, 2, 2});
  }
  torch::Tensor pictures(std::int64_t begin, std::int64_t end) const {
    const auto index = torch::arange(begin, end, torch::kFloat64).unsqueeze(1);
    const auto scale = torch::tensor({0.7, 1.3, 2.1}, torch::kFloat64);
    return (torch::sin(index * scale + 0.1) + 1.5).to(first.dtype());
  }
  /// Mean loss of pictures begin…end-1, seen as micro-batch `number`.
  torch::Tensor loss(std::int64_t number, std::int64_t begin, std::int64_t end) const {
    const auto x = pictures(begin, end);
    // Outputs above zero: gradients of pictures that cancel would measure float32, not the sums.
    auto y = torch::tanh(torch::linear(x, first, bias)).matmul(last.t()).squeeze(1) + 3.0;
    y = y + x.select(1, 0) * wide.pow(2).mean() + x.select(1, 2) * kernel.pow(3).sum();
    if (number % 2 == 0) {
      y = y + x.matmul(sometimes);
    }
    return y.pow(2).mean();
  }
  std::vector<torch::Tensor> parameters;
  torch::Tensor first, wide, unused, sometimes, bias, last, kernel;
};

struct Step {
  std::int64_t world = 1, accumulation = 1, micros = 1, rest = 2;  // pictures of the last one
  bool measure = false, interleave = false;
  std::int64_t micro = 3;
  std::int64_t pictures() const { return micro * (micros - 1) + rest; }
  std::int64_t begin_of(std::int64_t j) const { return j * micro; }
  std::int64_t end_of(std::int64_t j) const {
    return j < micros - 1 ? (j + 1) * micro : pictures();
  }
  bool in_half1(std::int64_t j) const { return interleave ? j % 2 == 0 : j < micros / 2; }
  std::string text() const {
    return "W " + std::to_string(world) + " K " + std::to_string(accumulation) + " N " +
           std::to_string(micros) + " rest " + std::to_string(rest) + (measure ? " measure" : "") +
           (interleave ? " interleave" : "");
  }
};

StepGradients synced(GradientSync& sync, const Toy& toy, const Step& step, std::int64_t rank) {
  SyncPlan plan;
  plan.pictures = step.pictures();
  plan.micros = step.micros;
  plan.micro = step.micro;
  plan.first_micro = std::min(rank * step.accumulation, step.micros);
  plan.last_micro = std::min((rank + 1) * step.accumulation, step.micros);
  plan.measure = step.measure;
  plan.interleave = step.interleave;
  sync.begin(plan);
  for (std::int64_t j = plan.first_micro; j < plan.last_micro; ++j) {
    const auto begin = step.begin_of(j), end = step.end_of(j);
    sync.backward(toy.loss(j, begin, end), j, end - begin);
  }
  return sync.finish();
}

/// The gradient of the mean loss over the chosen micro-batches' pictures by plain autograd.
std::vector<torch::Tensor> gradient_of(const Toy& toy,
                                       const Step& step,
                                       const std::vector<bool>& chosen) {
  torch::Tensor sum;
  double pictures = 0;
  for (std::int64_t j = 0; j < step.micros; ++j) {
    if (chosen[std::size_t(j)]) {
      const auto begin = step.begin_of(j), end = step.end_of(j);
      const auto part = toy.loss(j, begin, end) * double(end - begin);
      sum = sum.defined() ? sum + part : part;
      pictures += double(end - begin);
    }
  }
  if (!sum.defined()) {
    std::vector<torch::Tensor> zeros;
    for (const auto& parameter : toy.parameters) {
      zeros.push_back(torch::zeros_like(parameter));
    }
    return zeros;
  }
  auto grads = torch::autograd::grad(
      {sum / pictures}, toy.parameters, {}, c10::nullopt, false, /*allow_unused=*/true);
  for (std::size_t i = 0; i < grads.size(); ++i) {
    grads[i] = grads[i].defined() ? grads[i] : torch::zeros_like(toy.parameters[i]);
  }
  return grads;
}

struct Gradient {
  std::vector<torch::Tensor> values;
  std::vector<double> largest;  // magnitude in each
};

/// gradient_of(), kept for the steps of as many pictures that follow: they ask for the same.
class Expected {
 public:
  explicit Expected(const Toy& toy) : toy_(toy) {}
  const Gradient& of(const Step& step, const std::function<bool(std::int64_t)>& chosen) {
    if (step.micros != micros_ || step.pictures() != pictures_) {
      known_.clear();
      micros_ = step.micros;
      pictures_ = step.pictures();
    }
    std::vector<bool> mask;
    for (std::int64_t j = 0; j < step.micros; ++j) {
      mask.push_back(chosen(j));
    }
    const auto [found, added] = known_.try_emplace(mask);
    Gradient& gradient = found->second;
    if (added) {
      gradient.values = gradient_of(toy_, step, mask);
      for (const torch::Tensor& value : gradient.values) {
        gradient.largest.push_back(value.abs().max().item<double>());
      }
    }
    return gradient;
  }
  const Toy& toy() const { return toy_; }

 private:
  const Toy& toy_;
  std::int64_t micros_ = 0, pictures_ = 0;
  std::map<std::vector<bool>, Gradient> known_;
};

/// Largest difference from `wanted`, as a fraction of each tensor's largest magnitude there or in
/// `term` (absolute where that is zero).
double difference(const std::vector<torch::Tensor>& got,
                  const Gradient& wanted,
                  const Gradient& term) {
  const std::vector<torch::Tensor>& right = wanted.values;
  if (got.size() != right.size()) {
    return 1e9;
  }
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i].sizes() != right[i].sizes()) {
      return 1e9;
    }
    const double largest = std::max(wanted.largest[i], term.largest[i]);
    const double most = (got[i] - right[i]).abs().max().item<double>();
    worst = std::max(worst, largest > 0 ? most / largest : most);
  }
  return worst;
}

/// Compares one step with plain autograd; prints and counts what is wrong.
int check_step(GradientSync& sync, Expected& expected, const Step& step, std::int64_t rank) {
  const Toy& toy = expected.toy();
  const double bound = toy.first.dtype() == torch::kFloat64 ? 1e-12 : 1e-6;
  int wrong = 0;
  const auto compare = [&](const char* what,
                           const std::vector<torch::Tensor>& got,
                           const std::function<bool(std::int64_t)>& chosen) {
    // Halves may nearly cancel in the mean: rounding is measured by the terms of the sum.
    const auto& all = expected.of(step, chosen);
    const auto& first = expected.of(
        step, [&](std::int64_t j) { return chosen(j) && (step.micros == 1 || step.in_half1(j)); });
    const double worst = difference(got, all, first);
    if (!(worst <= bound)) {
      std::printf("%s: %s differs by %g\n", step.text().c_str(), what, worst);
      ++wrong;
    }
  };
  const StepGradients got = synced(sync, toy, step, rank);
  compare("mean", got.mean, [](std::int64_t) { return true; });
  if (!step.measure) {
    return wrong + (got.half1.empty() && got.half2.empty() ? 0 : 1);
  }
  compare("half 1", got.half1, [&](std::int64_t j) { return step.in_half1(j); });
  compare("half 2", got.half2, [&](std::int64_t j) { return !step.in_half1(j); });
  if (got.pictures1 + got.pictures2 != double(step.pictures())) {
    std::printf("%s: the halves have %g and %g pictures\n",
                step.text().c_str(),
                got.pictures1,
                got.pictures2);
    ++wrong;
  }
  return wrong;
}

/// Every step that a world of this size is asked for, measuring and plain in turn.
std::vector<Step> steps_of(std::int64_t world, bool small_last_steps) {
  std::vector<Step> out;
  const auto add = [&](Step step) {
    step.world = world;
    for (const std::int64_t rest : {step.micro, std::int64_t(1)}) {
      step.rest = rest;
      step.measure = false;
      out.push_back(step);
      if (step.micros >= 2) {
        step.measure = true;
        step.interleave = false;
        out.push_back(step);
        step.interleave = true;
        out.push_back(step);
        step.interleave = false;
      }
    }
  };
  for (const std::int64_t micros : {2, 3, 4, 6}) {
    if (micros % world == 0) {
      Step step;
      step.micros = micros;
      step.accumulation = micros / world;
      add(step);
    }
  }
  // Last steps of a run, down to one micro-batch: some ranks hold less than others, or nothing.
  for (std::int64_t micros = small_last_steps ? 2 * world : 0; micros >= 1; --micros) {
    Step step;
    step.micros = micros;
    step.accumulation = 2;
    add(step);
  }
  return out;
}

int equivalence(Group& group) {
  int wrong = 0;
  for (const auto dtype : {torch::kFloat64, torch::kFloat32}) {
    const Toy toy(dtype);
    GradientSync sync(toy.parameters, std::shared_ptr<Group>(&group, [](Group*) {}));
    Expected expected(toy);
    for (const Step& step : steps_of(group.size(), dtype == torch::kFloat64)) {
      wrong += check_step(sync, expected, step, group.rank());
    }
  }
  return wrong;
}

constexpr std::chrono::milliseconds kSilence{1000};

/// Steps until a peer is missed; 5 when that is said as it should be.
int miss_a_peer(std::shared_ptr<Group> group, bool measure, bool silent) {
  const Toy toy(torch::kFloat32);
  GradientSync sync(toy.parameters, group);
  Step step;
  step.world = step.micros = group->size();
  step.measure = measure;
  try {
    for (int i = 0; i < 100; ++i) {
      // From here on rank 1 is lost: a short timeout takes nobody for lost who is only slow.
      if (i == 3 && silent) {
        group->set_timeout(kSilence);
      }
      if (i == 3 && group->rank() == 1) {
        if (silent) {
          std::this_thread::sleep_for(3 * kSilence);
        }
        _exit(9);
      }
      synced(sync, toy, step, group->rank());
    }
  } catch (const PeerError& error) {
    std::printf("%s\n", error.what());
    std::fflush(stdout);
    // As the engine does: what hangs in a collective must not keep the process.
    _exit(5);
  }
  return 0;
}

int run_rank(const std::string& name) {
  const LaunchEnv env = launch_env();
  const bool misses = name != "equivalence";
  const bool silent = name.find("silent") == 0;
  const auto group = Group::create(env, torch::kCPU);
  if (!misses) {
    const int wrong = equivalence(*group);
    group->barrier();
    return wrong == 0 ? 0 : 1;
  }
  return miss_a_peer(group, name.find("measure") != std::string::npos, silent);
}

}  // namespace

class TestGradientSync : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void one_process();
  void ranks_data();
  void ranks();
  void lost_peers_data();
  void lost_peers();
  void one_process_keeps_the_gradient_buffers();
  void loss_that_learns_nothing();
  void misuse();
};

void TestGradientSync::one_process() {
  LaunchEnv env;
  QCOMPARE(equivalence(*Group::create(env, torch::kCPU)), 0);
}

void TestGradientSync::ranks_data() {
  QTest::addColumn<int>("world");
  for (const int world : {2, 3, 4, 6}) {
    QTest::addRow("%d ranks", world) << world;
  }
}

void TestGradientSync::ranks() {
  QFETCH(int, world);
  batchscope::test::SpawnOptions options;
  options.name = "equivalence";
  options.world = world;
  for (const auto& rank : spawn_ranks(options)) {
    QVERIFY2(rank.code == 0, (std::to_string(rank.signal) + " " + rank.output).c_str());
  }
}

void TestGradientSync::lost_peers_data() {
  QTest::addColumn<QString>("name");
  QTest::newRow("dies before a plain step") << "dead";
  QTest::newRow("dies before a measuring step") << "dead measure";
  QTest::newRow("dies before a measuring step of an odd world") << "dead measure odd";
  QTest::newRow("is silent") << "silent";
}

void TestGradientSync::lost_peers() {
  QFETCH(QString, name);
  batchscope::test::SpawnOptions options;
  options.name = name.toStdString();
  options.world = options.name.find("odd") != std::string::npos ? 3 : 4;
  const auto results = spawn_ranks(options);
  for (std::size_t rank = 0; rank < results.size(); ++rank) {
    const auto& result = results[rank];
    const std::string found = "rank " + std::to_string(rank) + ": code " +
                              std::to_string(result.code) + ", signal " +
                              std::to_string(result.signal) + ": " + result.output;
    QVERIFY2(result.code == (rank == 1 ? 9 : 5), found.c_str());
    if (rank != 1) {
      const std::string who = "rank " + std::to_string(rank) + " of " +
                              std::to_string(options.world) + " lost another rank during ";
      QVERIFY2(result.output.find(who) != std::string::npos, result.output.c_str());
    }
  }
}

void TestGradientSync::one_process_keeps_the_gradient_buffers() {
  const Toy toy(torch::kFloat32);
  GradientSync sync(toy.parameters, Group::create(LaunchEnv(), torch::kCPU));
  Step step;
  step.micros = step.accumulation = 3;
  const auto got = synced(sync, toy, step, 0);
  for (std::size_t i = 0; i < toy.parameters.size(); ++i) {
    const auto& grad = toy.parameters[i].grad();
    QVERIFY(!grad.defined() || got.mean[i].data_ptr() == grad.data_ptr());
  }
}

void TestGradientSync::loss_that_learns_nothing() {
  const Toy toy(torch::kFloat64);
  GradientSync sync(toy.parameters, Group::create(LaunchEnv(), torch::kCPU));
  SyncPlan plan;
  plan.pictures = plan.micros = plan.last_micro = 1;
  sync.begin(plan);
  sync.backward(torch::ones({}), 0, 1);
  for (const auto& grad : sync.finish().mean) {
    QCOMPARE(grad.abs().max().item<double>(), 0.0);
  }
}

void TestGradientSync::misuse() {
  const Toy toy(torch::kFloat64);
  const auto group = Group::create(LaunchEnv(), torch::kCPU);
  QVERIFY_THROWS_EXCEPTION(std::invalid_argument, GradientSync({}, group));
  QVERIFY_THROWS_EXCEPTION(std::invalid_argument, GradientSync({torch::ones({2})}, group));
  auto mixed = toy.parameters;
  mixed.push_back(torch::ones({2}, torch::kFloat32).requires_grad_());
  QVERIFY_THROWS_EXCEPTION(std::invalid_argument, GradientSync(mixed, group));
  GradientSync sync(toy.parameters, group);
  SyncPlan plan;
  plan.pictures = 5;
  plan.micro = 3;
  plan.micros = plan.last_micro = 2;
  SyncPlan wrong = plan;
  wrong.pictures = 7;
  QVERIFY_THROWS_EXCEPTION(std::invalid_argument, sync.begin(wrong));
  wrong = plan;
  wrong.last_micro = 1;
  QVERIFY_THROWS_EXCEPTION(std::invalid_argument, sync.begin(wrong));
  wrong.pictures = 3;
  wrong.micros = 1;
  wrong.measure = true;
  QVERIFY_THROWS_EXCEPTION(std::invalid_argument, sync.begin(wrong));
  sync.begin(plan);
  QVERIFY_THROWS_EXCEPTION(std::invalid_argument, sync.finish());
  QVERIFY_THROWS_EXCEPTION(std::invalid_argument, sync.backward(toy.loss(0, 0, 3), 1, 3));
  QVERIFY_THROWS_EXCEPTION(std::invalid_argument, sync.backward(toy.loss(0, 0, 3), 0, 2));
}

static int main_of_test(int argc, char** argv) {
  if (const std::string name = rank_case(); !name.empty()) {
    return run_rank(name);
  }
  QCoreApplication app(argc, argv);
  TestGradientSync test;
  return QTest::qExec(&test, argc, argv);
}
BATCHSCOPE_TEST_MAIN(main_of_test)
#include "tst_gradient_sync.moc"
