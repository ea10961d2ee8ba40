#include "engine/contract/error.h"
#include "engine/distributed/command_relay.h"
#include "engine/distributed/group.h"
#include "tests/support/spawn_ranks.h"
#include "tests/support/test_program.h"

#include <QCoreApplication>
#include <QTest>

#include <cerrno>
#include <cstdio>
#include <thread>
#include <unistd.h>

using namespace batchscope::train;
namespace contract = batchscope::contract;
using batchscope::test::rank_case;
using batchscope::test::spawn_ranks;

namespace {

std::string pattern(std::size_t size, char first) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    out[i] = char(first + char(i % 13));
  }
  return out;
}

int wrong = 0;
void expect(bool condition, const char* what) {
  if (!condition) {
    std::printf("wrong: %s\n", what);
    ++wrong;
  }
}

/// What every world has to do right; the same code runs in a world of one.
void use(Group& group) {
  const auto rank = group.rank(), size = group.size();
  const double total = double(size * (size + 1)) / 2;
  torch::Tensor sum = torch::full({3, 2}, double(rank + 1), torch::kFloat64);
  group.all_reduce_sum(sum);
  expect(sum.eq(total).all().item<bool>(), "sum");
  torch::Tensor strided = torch::full({4, 6}, float(rank + 1)).t().narrow(0, 1, 3);
  group.all_reduce_sum(strided);
  expect(strided.eq(total).all().item<bool>(), "sum of a strided view");
  torch::Tensor counts = torch::full({2}, rank + 1, torch::kInt64);
  group.all_reduce_sum(counts);
  expect(counts.eq(std::int64_t(total)).all().item<bool>(), "sum of integers");
  const auto root = size - 1;
  torch::Tensor value = torch::full({5}, float(rank));
  group.broadcast(value, root);
  expect(value.eq(float(root)).all().item<bool>(), "broadcast");
  for (const std::size_t length : {0, 1, 247, 248, 249, 256, 100000}) {
    const std::string bytes = pattern(length, 'a');
    expect(group.broadcast_bytes(rank == root ? bytes : "x", root) == bytes, "broadcast bytes");
    const auto all = group.all_gather_bytes(pattern(length * std::size_t(rank + 1), char(rank)));
    expect(all.size() == std::size_t(size), "gather bytes: one each");
    for (std::int64_t r = 0; r < size; ++r) {
      expect(all[std::size_t(r)] == pattern(length * std::size_t(r + 1), char(r)), "gather bytes");
    }
  }
  group.barrier();
}

void relay(Group& group) {
  contract::OptimizerCommand change;
  change.name = "lamb";
  change.set = {{"optim.lamb.trust_max", "5"}};
  const std::vector<contract::Command> sent = {
      {7, change}, {-1, contract::StopCommand{}}, {8, contract::LrCommand{0.1 + 0.2}}};
  for (int i = 0; i < 50; ++i) {
    const bool some = i % 10 == 0;
    const auto mine = some && group.rank() == 0 ? sent : std::vector<contract::Command>();
    const auto agreed = agree_on_commands(group, mine);
    expect(agreed == (some ? sent : std::vector<contract::Command>()), "agreed commands");
  }
}

int run_rank(const std::string& name) {
  const LaunchEnv env = launch_env();
  try {
    const auto group =
        Group::create(env, torch::kCPU, std::chrono::seconds(name == "missing" ? 2 : 60));
    if (name == "use") {
      use(*group);
      relay(*group);
      group->barrier();
      return wrong;
    }
    if (name == "pause") {
      // Longer than the timeout, kept alive every half second.
      group->barrier();
      group->set_timeout(std::chrono::milliseconds(2000));
      for (int i = 0; i < 6; ++i) {
        if (group->rank() == 0) {
          std::this_thread::sleep_for(std::chrono::milliseconds(500));
        }
        agree_on_commands(*group, {});
      }
      return 0;
    }
    if (name == "silent") {
      // The timeout of a group that has met is the one that was set last, in its parts, too.
      group->barrier();
      group->set_timeout(std::chrono::milliseconds(500));
      const auto part = group->subgroup(0, 2);
      if (group->rank() == 1) {
        std::this_thread::sleep_for(std::chrono::seconds(3));
        return 9;
      }
      part->barrier();
    }
    if (name == "broken pipe") {
      int ends[2];
      expect(pipe(ends) == 0, "pipe");
      close(ends[0]);
      expect(write(ends[1], "x", 1) == -1 && errno == EPIPE, "a write that nobody reads");
      group->barrier();
      return wrong;
    }
    if (group->rank() == 1) {
      _exit(9);
    }
    group->broadcast_bytes("x", 1);
    group->barrier();
  } catch (const contract::PeerError& error) {
    std::printf("%s\n", error.what());
    std::fflush(stdout);
    _exit(5);
  }
  return 0;
}

batchscope::test::SpawnOptions spawn(const std::string& name, int world) {
  batchscope::test::SpawnOptions options;
  options.name = name;
  options.world = world;
  return options;
}

}  // namespace

class TestGroup : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void a_world_of_one() {
    const auto group = Group::create(LaunchEnv(), torch::kCPU);
    QCOMPARE(group->size(), std::int64_t(1));
    wrong = 0;
    use(*group);
    relay(*group);
    QCOMPARE(wrong, 0);
  }
  void ranks() {
    for (const int world : {2, 3}) {
      for (const auto& rank : spawn_ranks(spawn("use", world))) {
        QVERIFY2(rank.code == 0, rank.output.c_str());
      }
    }
  }
  void a_long_pause() {
    for (const auto& rank : spawn_ranks(spawn("pause", 2))) {
      QVERIFY2(rank.code == 0, rank.output.c_str());
    }
  }
  void a_dead_peer() {
    const auto results = spawn_ranks(spawn("dead", 3));
    QCOMPARE(results[1].code, 9);
    for (const int rank : {0, 2}) {
      QVERIFY2(results[std::size_t(rank)].code == 5, results[std::size_t(rank)].output.c_str());
    }
  }
  void a_silent_peer() {
    const auto results = spawn_ranks(spawn("silent", 2));
    QCOMPARE(results[1].code, 9);
    QVERIFY2(results[0].code == 5, results[0].output.c_str());
    QVERIFY2(results[0].output.find("imed out") != std::string::npos, results[0].output.c_str());
  }
  // Gloo's next write to a peer that has died would end the process instead of failing.
  void broken_pipes_are_errors_and_not_signals() {
    for (const auto& rank : spawn_ranks(spawn("broken pipe", 2))) {
      QCOMPARE(rank.signal, 0);
      QVERIFY2(rank.code == 0, rank.output.c_str());
    }
  }
  void a_peer_that_never_comes() {
    auto options = spawn("missing", 3);
    options.start = 2;
    for (const auto& rank : spawn_ranks(options)) {
      QVERIFY2(rank.code == 5, rank.output.c_str());
      QVERIFY2(
          rank.output.find("of 3 could not meet the others at 127.0.0.1:") != std::string::npos,
          rank.output.c_str());
    }
  }
};

static int main_of_test(int argc, char** argv) {
  if (const std::string name = rank_case(); !name.empty()) {
    return run_rank(name);
  }
  QCoreApplication app(argc, argv);
  TestGroup test;
  return QTest::qExec(&test, argc, argv);
}
BATCHSCOPE_TEST_MAIN(main_of_test)
#include "tst_group.moc"
