#include "engine/data/make_dataset.h"
#include "engine/train/lr_fan.h"
#include "tests/support/test_program.h"
#include "tests/support/toy_training.h"

#include <QTemporaryDir>
#include <QtTest>

#include <cmath>
#include <limits>

using namespace batchscope;
using namespace batchscope::testing;
using train::FanMethod;
using train::FanRate;

namespace {

std::vector<double> values_of(const std::string& text) {
  std::vector<double> values;
  for (const FanRate& rate : train::parse_fan_rates(text)) {
    values.push_back(rate.value);
  }
  return values;
}

template <class Work>
bool refuses(Work work, const std::string& word) {
  try {
    work();
  } catch (const contract::SpecError& error) {
    return std::string(error.what()).find(word) != std::string::npos;
  }
  return false;
}

train::FanResult result_of(const std::string& label, double lr, bool survives) {
  train::FanResult result;
  result.probe.method.label = label;
  result.probe.lr = lr;
  result.verdict.survives = survives;
  return result;
}

}  // namespace

class TestLrFan : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void ratesAreRead() {
    QCOMPARE(values_of("x2^-2..2"), (std::vector<double>{0.25, 0.5, 1, 2, 4}));
    QCOMPARE(values_of("0.01, 0.02"), (std::vector<double>{0.01, 0.02}));
    QCOMPARE(values_of("x4^0..1/0.5"), (std::vector<double>{1, 2, 4}));
    QCOMPARE(values_of("x10^-1..-1"), (std::vector<double>{0.1}));
    QCOMPARE(train::parse_fan_rates("x0.5,3"), (std::vector<FanRate>{{true, 0.5}, {false, 3}}));
    for (const char* text : {"",
                             "fast",
                             "0",
                             "-1",
                             "x-2",
                             "x2^",
                             "x2^1",
                             "x2^2..1",
                             "x2^0..1/0",
                             "x2^0..1000",
                             "1,,2",
                             "inf"}) {
      QVERIFY2(refuses([&] { train::parse_fan_rates(text); }, "--lr takes"), text);
    }
  }

  void methodsAreRead() {
    QCOMPARE(train::parse_fan_methods("lamb,sgd+clip,adamw+clip=0.5+agvm"),
             (std::vector<FanMethod>{{"lamb", "lamb", 0, false},
                                     {"sgd+clip", "sgd", 1, false},
                                     {"adamw+clip=0.5+agvm", "adamw", 0.5, true}}));
    QCOMPARE(train::parse_fan_methods("").size(), std::size_t(1));
    QVERIFY(train::parse_fan_methods("")[0].name.empty());
    QVERIFY(refuses([] { train::parse_fan_methods("lamp"); }, "lamp"));
    QVERIFY(refuses([] { train::parse_fan_methods("sgd+clap"); }, "sgd+clap"));
    QVERIFY(refuses([] { train::parse_fan_methods("sgd+clip=-1"); }, "-1"));
  }

  void probesAreAllPairs() {
    const auto probes = train::fan_probes(train::parse_fan_methods("lamb,sgd+clip"),
                                          train::parse_fan_rates("x2^-1..1,0.04"),
                                          {3, 4},
                                          0.08);
    QCOMPARE(probes.size(), std::size_t(12));  // 0.04 is among them already
    QCOMPARE(probes[0].lr, 0.04);
    QCOMPARE(*probes[1].seed, 4);
    QCOMPARE(probes[11].lr, 0.16);
    QCOMPARE(*probes[11].command.name, std::string("sgd"));
    QCOMPARE(probes[11].command.set.at("optim.clip_norm"), std::string("1"));
    QCOMPARE(*probes[11].command.agvm, false);
    QCOMPARE(probes[11].command.lr_mapping, contract::LrMapping::kTargetNow);
    contract::check(probes[11].command);
  }

  void verdictsFollowTheStatedCriterion() {
    const double inf = std::numeric_limits<double>::infinity();
    const auto falling = train::judge_probe({2, 1.8, 1.6, 1.4, 1.2, 1.0}, "", 100);
    QVERIFY(falling.survives);
    QCOMPARE(falling.start_loss, 2.0);
    QCOMPARE(falling.end_loss, 1.1);
    QCOMPARE(falling.fall, 1000 * 0.9 / 450);  // from update 1 to the middle of 5 and 6
    QVERIFY(train::judge_probe({2, 2.9, 2.1, 1.9, 2.0, 2.1}, "", 100).survives);
    QVERIFY(!train::judge_probe({2, 7, 2.1, 1.9, 2.0, 2.1}, "", 100).survives);
    QVERIFY(!train::judge_probe({2, 2, 2, 2, 2.3, 2.3}, "", 100).survives);
    QVERIFY(!train::judge_probe({2, 1, std::nan("")}, "", 100).survives);
    QVERIFY(!train::judge_probe({2, 1, inf}, "", 100).survives);
    QCOMPARE(train::judge_probe({2, 1, 1}, "it diverged", 100).why, std::string("it diverged"));
    QVERIFY(!train::judge_probe({}, "", 100).survives);
  }

  void edgeLiesBetweenTheLastThatLivesAndTheFirstThatFails() {
    const auto edges = train::fan_edges({result_of("a", 1, true),
                                         result_of("a", 2, true),
                                         result_of("a", 2, false),
                                         result_of("a", 2, true),
                                         result_of("a", 4, false),
                                         result_of("a", 8, true),  // above it: luck
                                         result_of("b", 1, false),
                                         result_of("c", 1, true)});
    QCOMPARE(edges.size(), std::size_t(3));
    QCOMPARE(edges[0].highest_surviving, 2.0);
    QCOMPARE(edges[0].lowest_failing, 4.0);
    QCOMPARE(edges[0].edge, std::sqrt(8.0));
    QCOMPARE(edges[1].edge, 0.0);
    QCOMPARE(edges[1].lowest_failing, 1.0);
    QCOMPARE(edges[2].highest_surviving, 1.0);
    QCOMPARE(edges[2].lowest_failing, 0.0);
  }

  void probesAreWhatTheRunWouldDo() {
    contract::RunSpec spec = toy_spec("sgd", 40);
    spec.batch.accumulation = 2;
    ToyRun parent = toy_run(spec);
    train::Trainer& trainer = *parent.trainer;
    trainer.begin();
    while (trainer.state().step < 6) {
      trainer.step();
    }
    QTemporaryDir scratch;
    train::FanSetup fan;
    fan.spec = spec;
    fan.point.fork = train::ForkStart{};
    fan.point.fork->step = 6;
    fan.point.fork->spec = spec;
    fan.point.fork->seed = spec.run.seed;
    for (const contract::StepRecord& row : parent.sink->rows) {
      fan.point.fork->losses.push_back(parent.sink->value(row, "loss"));
    }
    fan.training_set = train::make_training_set(spec);
    fan.make_model = [] { return std::make_shared<ToyDetector>(11); };
    fan.steps = 12;
    fan.workers = 2;
    fan.scratch = scratch.path().toStdString();
    std::size_t told = 0;
    fan.done = [&](std::size_t, const train::FanResult&) { ++told; };
    const auto probes = train::fan_probes(
        train::parse_fan_methods("sgd,lamb"), train::parse_fan_rates("x0.1,x1,x1e4"), {}, 0.1);
    const auto results = train::run_fan(fan, probes);
    QCOMPARE(results.size(), std::size_t(6));
    QCOMPARE(told, std::size_t(6));
    QVERIFY(results[0].verdict.survives);
    QVERIFY(results[1].verdict.survives);
    QVERIFY(!results[2].verdict.survives);
    QVERIFY(!results[2].verdict.why.empty());
    const auto edges = train::fan_edges(results);
    QVERIFY(edges[0].edge > 0.1 && edges[0].edge < 1e3);

    // The run itself, given the fourth probe's command, makes the same updates.
    QVERIFY(trainer.apply(probes[3].command, "user").ok);
    while (trainer.state().step < 6 + fan.steps) {
      trainer.step();
    }
    for (std::int64_t i = 0; i < fan.steps; ++i) {
      QCOMPARE(results[3].losses.at(static_cast<std::size_t>(i)),
               parent.sink->value(parent.sink->rows.at(static_cast<std::size_t>(6 + i)), "loss"));
    }
  }
};

BATCHSCOPE_TEST(TestLrFan)
#include "tst_lr_fan.moc"
