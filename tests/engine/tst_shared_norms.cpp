#include "engine/train/shared_norms.h"
#include "models/factory.h"
#include "tests/support/test_program.h"
#include "tests/support/toy_training.h"

#include <torch/types.h>

#include <QtTest>

using namespace batchscope;
using namespace batchscope::testing;

namespace {

/// `images` drawn pictures for two ranks of two each and step.
contract::RunSpec shapes_spec(const std::string& norm, std::int64_t images) {
  contract::RunSpec spec = toy_spec("sgd", 1);
  spec.schedule.steps.reset();
  spec.schedule.images = images;
  spec.model.name = "tiny_semantic_fpn";
  spec.model.norm = norm;
  spec.data.size = 64;
  spec.data.max_object = 40;
  spec.data.flip = 0.5;
  spec.batch.micro = 2;
  spec.batch.accumulation = 1;
  spec.batch.ranks = 2;
  spec.optim.lr = 0.05;
  return spec;
}

std::shared_ptr<models::Detector> model_of(const contract::RunSpec& spec) {
  return models::make_detector({.name = spec.model.name,
                                .norm = spec.model.norm,
                                .num_classes = 3,
                                .stuff_classes = 1,
                                .min_size = spec.data.size,
                                .max_size = spec.data.size,
                                .seed = 5});
}

struct Trained {
  std::vector<torch::Tensor> weights, buffers;
  std::shared_ptr<MemorySink> sink;
};

Trained result_of(const ToyRun& run) {
  return {weights(*run.detector), run.detector->buffers(), run.sink};
}

Trained on_one_rank(contract::RunSpec spec) {
  spec.batch.micro *= spec.batch.ranks;
  spec.batch.ranks = 1;
  spec.model.norm = "bn";
  spec.model.syncbn_group = 0;
  ToyRun run = toy_run(spec, nullptr, torch::kFloat64, {}, std::nullopt, nullptr, model_of(spec));
  run.trainer->run();
  return result_of(run);
}

std::vector<Trained> on_ranks(const contract::RunSpec& spec) {
  std::vector<Trained> found(static_cast<std::size_t>(spec.batch.ranks));
  with_ranks(spec.batch.ranks, [&](const std::shared_ptr<train::Group>& group) {
    ToyRun run = toy_run(spec, group, torch::kFloat64, {}, std::nullopt, nullptr, model_of(spec));
    run.trainer->run();
    found[static_cast<std::size_t>(group->rank())] = result_of(run);
  });
  return found;
}

std::size_t batch_norm_warnings(const Trained& run) {
  return static_cast<std::size_t>(
      std::count_if(run.sink->events.begin(), run.sink->events.end(), [](const auto& event) {
        return event.kind == "warning" && event.text.starts_with("Batch norm");
      }));
}

}  // namespace

class TestSharedNorms : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  /// Two ranks of two pictures are one rank of four, weights and running statistics alike, whatever
  /// the last step has left: both ranks full, one picture short, or one rank without any.
  void ranks_train_as_one_data() {
    QTest::addColumn<int>("images");
    QTest::newRow("whole steps") << 12;
    QTest::newRow("a smaller micro-batch at the end") << 11;
    QTest::newRow("a rank without pictures at the end") << 10;
    QTest::newRow("one picture at the end") << 9;
  }
  void ranks_train_as_one() {
    QFETCH(int, images);
    const contract::RunSpec spec = shapes_spec("syncbn", images);
    const Trained one = on_one_rank(spec);
    const std::vector<Trained> two = on_ranks(spec);
    QVERIFY(relative_difference(two[0].weights, one.weights) < 1e-9);
    QVERIFY(relative_difference(two[0].buffers, one.buffers) < 1e-9);
    QVERIFY(equal_bits(two[0].weights, two[1].weights));
    QVERIFY(equal_bits(two[0].buffers, two[1].buffers));
    QCOMPARE(batch_norm_warnings(two[0]), std::size_t(0));
  }

  /// Ranks that hold several micro-batches, and unequally many in the last step: nobody waits for
  /// ever, also where both half-batches are measured.
  void unequal_passes_end_data() {
    QTest::addColumn<bool>("measure");
    QTest::newRow("mean gradient") << false;
    QTest::newRow("half-batches") << true;
  }
  void unequal_passes_end() {
    QFETCH(bool, measure);
    contract::RunSpec spec = shapes_spec("syncbn", 12 + 5);
    spec.batch.accumulation = 3;
    spec.optim.agvm.observe = measure;
    spec.optim.agvm.interval = 1;
    spec.optim.agvm.start = 1;
    const std::vector<Trained> two = on_ranks(spec);
    QVERIFY(equal_bits(two[0].weights, two[1].weights));
    QVERIFY(equal_bits(two[0].buffers, two[1].buffers));
    QCOMPARE(batch_norm_warnings(two[0]), std::size_t(1));  // four pictures of twelve
  }

  /// A detector whose losses differ in kind from rank to rank (positives here, none there).
  void a_detector_with_regions_trains() {
    contract::RunSpec spec = shapes_spec("syncbn", 9);
    spec.model.name = "tiny_mask_rcnn";
    const std::vector<Trained> two = on_ranks(spec);
    QVERIFY(equal_bits(two[0].weights, two[1].weights));
    for (const torch::Tensor& tensor : two[0].weights) {
      QVERIFY(tensor.isfinite().all().item<bool>());
    }
  }

  /// Groups of two among four ranks: statistics agree inside a group alone.
  void groups_share_among_themselves() {
    contract::RunSpec spec = shapes_spec("syncbn", 16);
    spec.batch.ranks = 4;
    spec.model.syncbn_group = 2;
    const std::vector<Trained> four = on_ranks(spec);
    QVERIFY(equal_bits(four[0].weights, four[3].weights));
    QVERIFY(equal_bits(four[0].buffers, four[1].buffers));
    QVERIFY(equal_bits(four[2].buffers, four[3].buffers));
    QVERIFY(!equal_bits(four[0].buffers, four[2].buffers));
  }

  /// What is measured is what a checkpoint of rank 0 holds.
  void an_evaluation_takes_the_statistics_of_rank_0() {
    contract::RunSpec spec = shapes_spec("bn", 8);
    const std::vector<Trained> apart = on_ranks(spec);
    QVERIFY(!equal_bits(apart[0].buffers, apart[1].buffers));
    QCOMPARE(batch_norm_warnings(apart[0]), std::size_t(1));
    spec.eval.every_steps = 2;
    const std::vector<Trained> measured = on_ranks(spec);
    QVERIFY(equal_bits(measured[0].buffers, measured[1].buffers));
    QVERIFY(equal_bits(measured[0].buffers, apart[0].buffers));
  }

  void a_group_that_does_not_fit_is_refused() {
    contract::RunSpec spec = shapes_spec("syncbn", 8);
    spec.model.syncbn_group = 3;
    try {
      contract::validate(spec);
      QFAIL("taken");
    } catch (const contract::SpecError& error) {
      QCOMPARE(error.field(), std::string("model.syncbn_group"));
      QVERIFY2(std::string(error.what()).find("must divide batch.ranks (2), found 3") !=
                   std::string::npos,
               error.what());
    }
  }
};

BATCHSCOPE_TEST(TestSharedNorms)
#include "tst_shared_norms.moc"
