#include "engine/contract/error.h"
#include "engine/data/broken_pictures.h"
#include "engine/data/loader.h"
#include "engine/data/make_dataset.h"
#include "engine/train/evaluator.h"
#include "tests/support/test_program.h"
#include "tests/support/toy_training.h"

#include <QTemporaryDir>
#include <QtTest>

#include <map>
#include <set>

using namespace batchscope;
using namespace batchscope::testing;

namespace {

/// A drawn set of which some pictures cannot be read, and of which only the first may be shown.
class Holed : public train::Dataset {
 public:
  Holed(std::shared_ptr<const train::Dataset> whole, std::set<std::int64_t> broken)
      : whole_(std::move(whole)), broken_(std::move(broken)) {}
  std::int64_t size() const override { return whole_->size(); }
  train::Sample get(std::int64_t index) const override {
    if (broken_.contains(index)) {
      throw contract::DataError("The picture '" + std::to_string(index) + ".jpg' is damaged.");
    }
    return whole_->get(index);
  }
  std::vector<train::TruthBox> truth(std::int64_t index) const override {
    return whole_->truth(index);
  }
  std::int64_t image_id(std::int64_t index) const override { return whole_->image_id(index); }
  const std::vector<std::string>& classes() const override { return whole_->classes(); }
  std::int64_t category_id(std::int64_t label) const override { return whole_->category_id(label); }
  std::string checksum() const override { return whole_->checksum(); }

 private:
  std::shared_ptr<const train::Dataset> whole_;
  std::set<std::int64_t> broken_;
};

/// The pictures of another set, in the order of a list.
class Chosen : public Holed {
 public:
  Chosen(std::shared_ptr<const train::Dataset> whole, std::vector<std::int64_t> list)
      : Holed(whole, {}), from_(std::move(whole)), list_(std::move(list)) {}
  std::int64_t size() const override { return static_cast<std::int64_t>(list_.size()); }
  train::Sample get(std::int64_t index) const override { return from_->get(at(index)); }
  std::vector<train::TruthBox> truth(std::int64_t index) const override {
    return from_->truth(at(index));
  }
  std::int64_t image_id(std::int64_t index) const override { return from_->image_id(at(index)); }

 private:
  std::int64_t at(std::int64_t index) const { return list_[static_cast<std::size_t>(index)]; }
  std::shared_ptr<const train::Dataset> from_;
  std::vector<std::int64_t> list_;
};

std::shared_ptr<const train::Dataset> drawn(std::int64_t pictures) {
  contract::RunSpec spec = toy_spec("sgd", 1);
  spec.data.train_pictures = pictures;
  return train::make_training_set(spec);
}

std::vector<torch::Tensor> batches(std::shared_ptr<const train::Dataset> set,
                                   std::int64_t threads,
                                   std::int64_t rank,
                                   std::int64_t ranks) {
  train::Loader loader(
      std::move(set), 3, {.input = ToyDetector(1).input_transform(), .max_broken = 0.5}, threads);
  std::vector<torch::Tensor> images;
  for (std::int64_t step = 0; step < 3; ++step) {
    const train::StepPlan plan = train::plan_step(step * 8, 24, 8 / (2 * ranks), 2, rank, ranks);
    loader.announce(plan);
    for (std::int64_t j = plan.first_micro; j < plan.last_micro; ++j) {
      images.push_back(loader.next().images);
    }
  }
  return images;
}

}  // namespace

/// A picture that cannot be read costs itself, and a warning.
class TestBrokenPictures : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void howManyMayBe() {
    QCOMPARE(train::allowed_broken(100000, 0.001), std::int64_t{100});
    QCOMPARE(train::allowed_broken(10, 0.001), std::int64_t{1});
    QCOMPARE(train::allowed_broken(100000, 0), std::int64_t{0});
    QCOMPARE(train::allowed_broken(4, 1), std::int64_t{3});
    QCOMPARE(train::allowed_broken(1, 0.001), std::int64_t{0});
  }

  void theNextOneTakesItsPlace() {
    const auto whole = drawn(6);
    const Holed holed(whole, {2, 5});
    train::BrokenPictures pictures(holed, 0.5);
    QVERIFY(torch::equal(pictures.get(1).image, whole->get(1).image));
    QVERIFY(torch::equal(pictures.get(2).image, whole->get(3).image));
    QVERIFY(torch::equal(pictures.get(5).image, whole->get(0).image));
    QVERIFY(torch::equal(pictures.get(2).image, whole->get(3).image));
    QVERIFY(pictures.has_found());
    const auto warnings = pictures.agree(pictures.take_found());
    QCOMPARE(warnings.size(), std::size_t{2});
    QVERIFY(warnings[0].find("'2.jpg' is damaged") != std::string::npos);
    QVERIFY(!pictures.has_found() && pictures.take_found().empty());
    QVERIFY(pictures.agree({{2, "another rank's words"}}).empty());
  }

  void tooManyEndIt() {
    const Holed holed(drawn(6), {1, 2, 4});
    train::BrokenPictures pictures(holed, 0.34);  // two
    pictures.get(1);
    try {
      pictures.get(4);
      QFAIL("It must have failed.");
    } catch (const contract::DataError& error) {
      const std::string text = error.what();
      QVERIFY2(text.starts_with("3 of 6 pictures of the training set cannot be used"),
               text.c_str());
      QVERIFY(text.find("data check") != std::string::npos);
      QVERIFY(text.find("'4.jpg' is damaged") != std::string::npos);
    }
  }

  void aSetWithoutAnyEnds() {
    const Holed holed(drawn(2), {0, 1});
    train::BrokenPictures pictures(holed, 1);
    QVERIFY_THROWS_EXCEPTION(contract::DataError, pictures.get(0));
  }

  /// Each rank meets pictures of its own: all hear of all, and the bound is of their sum.
  void ranksSumThemUp() {
    contract::RunSpec spec = toy_spec("sgd", 3);
    spec.batch.micro = spec.batch.accumulation = spec.batch.ranks = 2;
    const auto whole = drawn(24);
    train::Sampler order(24, static_cast<std::uint64_t>(spec.run.seed));
    const std::int64_t of_rank_0 = order.index(0), of_rank_1 = order.index(4);
    QVERIFY(std::abs(of_rank_0 - of_rank_1) > 1);  // neither stands in for the other
    for (const double max_broken : {0.1, 0.05}) {
      spec.data.max_broken = max_broken;
      std::vector<std::string> sentences(2);
      auto sink = std::make_shared<MemorySink>();
      const std::vector models = {std::make_shared<ToyDetector>(1),
                                  std::make_shared<ToyDetector>(1)};
      with_ranks(2, [&](std::shared_ptr<train::Group> group) {
        const auto rank = static_cast<std::size_t>(group->rank());
        train::TrainerSetup setup;
        setup.spec = spec;
        setup.group = group;
        setup.training_set =
            std::make_shared<Holed>(whole, std::set<std::int64_t>{of_rank_0, of_rank_1});
        setup.model = models[rank];
        setup.sink = rank == 0 ? sink.get() : nullptr;
        train::Trainer trainer(std::move(setup));
        try {
          trainer.run();
        } catch (const contract::DataError& error) {
          sentences[rank] = error.what();
        }
      });
      QCOMPARE(sentences[0], sentences[1]);
      if (max_broken == 0.1) {
        QVERIFY2(sentences[0].empty(), sentences[0].c_str());
        QCOMPARE(sink->of_kind("warning").size(), std::size_t{2});
      } else {
        QVERIFY2(sentences[0].starts_with("2 of 24 pictures of the training set cannot be used"),
                 sentences[0].c_str());
      }
    }
  }

  /// Whatever threads and ranks there are, an update sees the same pictures.
  void theSameForAllThreadsAndRanks() {
    const auto holed = std::make_shared<Holed>(drawn(24), std::set<std::int64_t>{3, 4, 17});
    const auto alone = batches(holed, 0, 0, 1);
    const auto threaded = batches(holed, 2, 0, 1);
    QVERIFY(equal_bits(alone, threaded));
    const auto first = batches(holed, 1, 0, 2), second = batches(holed, 1, 1, 2);
    std::vector<torch::Tensor> pictures, shared;
    for (const torch::Tensor& batch : alone) {
      for (const torch::Tensor& picture : batch.unbind()) {
        pictures.push_back(picture);
      }
    }
    for (std::size_t step = 0; step < 3; ++step) {
      for (const auto* rank : {&first, &second}) {
        for (std::size_t k = 0; k < 2; ++k) {
          for (const torch::Tensor& picture : (*rank)[2 * step + k].unbind()) {
            shared.push_back(picture);
          }
        }
      }
    }
    QVERIFY(equal_bits(pictures, shared));
  }

  void anEvaluationLeavesThemOut() {
    const auto whole = drawn(12);
    const Holed holed(whole, {4, 9});
    const Chosen rest(whole, {0, 1, 2, 3, 5, 6, 7, 8, 10, 11});
    ToyDetector model(11);
    const auto group = train::Group::create({}, torch::kCPU);
    train::EvalOptions options{.batch = 5, .max_broken = 0.5, .transform = model.input_transform()};
    const train::EvalResult found = train::evaluate(model, holed, *group, options);
    const train::EvalResult expected = train::evaluate(model, rest, *group, options);
    QCOMPARE(found.pictures, std::int64_t{10});
    QCOMPARE(found.left_out.size(), std::size_t{2});
    QVERIFY(found.metrics == expected.metrics);
    QVERIFY(!found.metrics.empty());
    options.max_broken = 0;
    QVERIFY_THROWS_EXCEPTION(contract::DataError, train::evaluate(model, holed, *group, options));
  }
};

BATCHSCOPE_TEST(TestBrokenPictures)
#include "tst_broken_pictures.moc"
