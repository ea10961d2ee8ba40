#include "engine/contract/error.h"
#include "engine/train/evaluator.h"
#include "tests/support/spawn_ranks.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <chrono>
#include <cstdio>
#include <thread>
#include <unistd.h>

using namespace batchscope;
using batchscope::test::rank_case;
using batchscope::test::spawn_ranks;

namespace {

constexpr std::chrono::milliseconds kTimeout{3000};   // of the group, once it has met
constexpr std::chrono::milliseconds kSlow{4500};      // rank 0 is busy with the truth
constexpr std::chrono::milliseconds kKeepAlive{200};  // meanwhile

/// One picture with one object, whose mask takes its time or cannot be had.
class SlowTruth : public train::Dataset {
 public:
  explicit SlowTruth(bool broken) : broken_(broken) {}
  std::int64_t size() const override { return 1; }
  train::Sample get(std::int64_t) const override {
    train::Sample sample;
    sample.image = torch::zeros({3, 8, 8});
    return sample;
  }
  std::vector<train::TruthBox> truth(std::int64_t) const override {
    return {{1, 1, 4, 4, 16, 1, false}};
  }
  std::optional<std::vector<train::Rle>> truth_masks(std::int64_t) const override {
    if (broken_) {
      throw contract::DataError("The mask of picture 7 is damaged.");
    }
    std::this_thread::sleep_for(kSlow);
    return {{train::Rle{8, 8, {9, 4, 4, 4, 4, 4, 4, 4, 27}}}};
  }
  std::int64_t image_id(std::int64_t) const override { return 7; }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::int64_t category_id(std::int64_t label) const override { return label; }
  std::string checksum() const override { return {}; }

 private:
  bool broken_;
  std::vector<std::string> classes_ = {"thing"};
};

/// Finds the object.
class Finder : public models::Detector {
 public:
  models::Losses losses(const torch::Tensor&,
                        const std::vector<std::pair<std::int64_t, std::int64_t>>&,
                        const std::vector<models::Target>&,
                        torch::Generator) override {
    return {};
  }
  std::vector<models::Detection> detect(
      const torch::Tensor&,
      const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) override {
    std::vector<models::Detection> found(sizes.size());
    for (models::Detection& one : found) {
      one.boxes = torch::tensor({1.0F, 1.0F, 5.0F, 5.0F}).view({1, 4});
      one.labels = torch::ones({1}, torch::kInt64);
      one.scores = torch::ones({1});
      one.mask_probabilities = torch::zeros({1, 28, 28});
      // Pasting grows the box by a pixel here, and each of its six columns looks at one of 30 bins.
      one.mask_probabilities.slice(1, 4, 24).slice(2, 4, 24).fill_(1);
    }
    return found;
  }
  std::vector<models::ModuleGroup> module_groups() const override { return {}; }
  models::InputTransform input_transform() const override {
    return {.mean = {0, 0, 0}, .std = {1, 1, 1}};
  }
  std::vector<std::string> loss_names() const override { return {}; }
};

/// Prints what came of it, and how often it was alive meanwhile.
int run_rank(const std::string& name) {
  try {
    const auto group = train::Group::create(train::launch_env(), torch::kCPU);
    group->barrier();
    group->set_timeout(kTimeout);
    Finder model;
    int beats = 0;
    train::EvalOptions options;
    options.batch = 1;
    options.keep_alive = kKeepAlive;
    options.transform = model.input_transform();
    const auto result =
        train::evaluate(model, SlowTruth(name == "broken"), *group, options, [&] { ++beats; });
    std::printf("AP %.2f beats %d\n", result.metrics.at("segm_AP50"), beats);
    std::fflush(stdout);
    group->barrier();
  } catch (const contract::Error& error) {
    std::printf("%s\n", error.what());
    std::fflush(stdout);
    _exit(static_cast<int>(error.code()));
  }
  return 0;
}

}  // namespace

/// The last part of an evaluation, in which rank 0 works and the others wait.
class TestEvaluatorWait : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void truth_may_take_longer_than_the_timeout() {
    test::SpawnOptions options;
    options.name = "slow";
    options.world = 2;
    for (const auto& rank : spawn_ranks(options)) {
      QVERIFY2(rank.code == 0, rank.output.c_str());
      QVERIFY2(rank.output.find("AP 1.00") != std::string::npos, rank.output.c_str());
      const std::size_t beats = rank.output.find("beats ");
      QVERIFY2(std::stoi(rank.output.substr(beats + 6)) >= 2, rank.output.c_str());
    }
  }

  void an_error_of_rank_0_is_everyones() {
    test::SpawnOptions options;
    options.name = "broken";
    options.world = 3;
    for (const auto& rank : spawn_ranks(options)) {
      QVERIFY2(rank.code == 3, rank.output.c_str());
      QVERIFY2(rank.output.find("The mask of picture 7 is damaged.") != std::string::npos,
               rank.output.c_str());
    }
  }
};

static int main_of_test(int argc, char** argv) {
  const std::string name = rank_case();
  if (!name.empty()) {
    return run_rank(name);
  }
  TestEvaluatorWait test;
  return QTest::qExec(&test, argc, argv);
}
BATCHSCOPE_TEST_MAIN(main_of_test)
#include "tst_evaluator_wait.moc"
