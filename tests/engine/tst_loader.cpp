#include "engine/contract/error.h"
#include "engine/data/loader.h"
#include "engine/data/synthetic_dataset.h"
#include "engine/data/transforms.h"
#include "tests/support/test_program.h"

#include <torch/types.h>

#include <QtTest>

#include <algorithm>
#include <array>
#include <atomic>
#include <numeric>
#include <set>

using namespace batchscope;
using train::Loader;
using train::MicroBatch;
using train::plan_step;
using train::Sampler;
using train::StepPlan;

namespace {

/// Pictures of several sizes whose content tells their index; get(bad) fails as a missing file
/// does.
class NumberedSet final : public train::Dataset {
 public:
  explicit NumberedSet(std::int64_t size, std::int64_t bad = -1, bool mixed = true)
      : size_(size), bad_(bad), mixed_(mixed) {}
  std::int64_t size() const override { return size_; }
  train::Sample get(std::int64_t index) const override {
    ++calls;
    if (index == bad_) {
      throw contract::DataError("picture 'bad.jpg' is missing");
    }
    train::Sample s;
    const std::int64_t h = mixed_ ? 6 + index % 3 : 8, w = mixed_ ? 9 - index % 2 : 8;
    s.image =
        (torch::arange(3 * h * w).view({3, h, w}) + index * 7).remainder(251).to(torch::kUInt8);
    s.boxes = torch::tensor({{1.0F, 2.0F, 4.0F, 5.0F}});
    s.labels = torch::tensor({index % 2 + 1});
    s.id = index + 100;
    s.name = std::to_string(index);
    return s;
  }
  std::vector<train::TruthBox> truth(std::int64_t) const override { return {}; }
  std::int64_t image_id(std::int64_t index) const override { return index + 100; }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::int64_t category_id(std::int64_t label) const override { return label; }
  std::string checksum() const override { return {}; }

  mutable std::atomic<int> calls = 0;

 private:
  std::int64_t size_, bad_;
  bool mixed_;
  std::vector<std::string> classes_ = {"a", "b"};
};

train::TransformOptions plain(double flip = 0) {
  train::TransformOptions t;
  t.input.mean = {0.25, 0.5, 0.75};
  t.input.std = {0.5, 0.25, 0.125};
  t.flip = flip;
  return t;
}

bool same_batch(const MicroBatch& a, const MicroBatch& b) {
  bool same = a.number == b.number && a.first == b.first && a.seed == b.seed &&
              a.sizes == b.sizes && torch::equal(a.images, b.images) &&
              a.targets.size() == b.targets.size();
  for (std::size_t i = 0; same && i < a.targets.size(); ++i) {
    same = torch::equal(a.targets[i].boxes, b.targets[i].boxes) &&
           torch::equal(a.targets[i].labels, b.targets[i].labels);
  }
  return same;
}

/// Every micro-batch of a run of `total` pictures, as `ranks` loaders deliver them, by step and j.
std::vector<MicroBatch> all_batches(const std::shared_ptr<const train::Dataset>& set,
                                    std::int64_t total,
                                    std::int64_t micro,
                                    std::int64_t accumulation,
                                    std::int64_t ranks,
                                    std::int64_t threads,
                                    double flip) {
  std::vector<std::unique_ptr<Loader>> loaders;
  for (std::int64_t r = 0; r < ranks; ++r) {
    loaders.push_back(std::make_unique<Loader>(set, 11, plain(flip), threads));
  }
  std::vector<MicroBatch> batches;
  for (std::int64_t first = 0; first < total; first += micro * accumulation * ranks) {
    for (std::int64_t r = 0; r < ranks; ++r) {
      const StepPlan plan = plan_step(first, total, micro, accumulation, r, ranks);
      Loader& loader = *loaders[static_cast<std::size_t>(r)];
      loader.announce(plan);
      while (loader.pending() > 0) {
        batches.push_back(loader.next());
      }
    }
  }
  return batches;
}

}  // namespace

class TestLoader : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  // Outputs of splitmix64 seeded with 0 (Vigna's splitmix64.c) pin the mixing function.
  void mix_seed_is_splitmix64() {
    const std::uint64_t first = 0xe220a8397b1dcdafULL;  // its first output for state 0
    const auto mix = [](std::uint64_t x) {
      x += 0x9e3779b97f4a7c15ULL;
      x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
      x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
      return x ^ (x >> 31);
    };
    QCOMPARE(mix(0), first);
    QCOMPARE(train::mix_seed(0, 5, 6, 7), mix(mix(mix(first ^ 5) ^ 6) ^ 7));
    std::set<std::uint64_t> seeds;
    for (std::uint64_t a = 0; a < 20; ++a) {
      for (std::uint64_t b = 0; b < 20; ++b) {
        for (const std::uint64_t purpose : {0, 1, 2, 3}) {
          seeds.insert(train::mix_seed(1, a, b, purpose));
        }
      }
    }
    QCOMPARE(seeds.size(), std::size_t{1600});
  }

  void sampler_gives_one_permutation_an_epoch() {
    Sampler sampler(37, 5), again(37, 5), other(37, 6);
    std::vector<std::vector<std::int64_t>> epochs(3);
    int differing = 0;
    for (std::int64_t p = 0; p < 3 * 37; ++p) {
      QCOMPARE(sampler.epoch(p), p / 37);
      epochs[static_cast<std::size_t>(p / 37)].push_back(sampler.index(p));
      differing += sampler.index(p) != other.index(p) ? 1 : 0;
    }
    QVERIFY(differing > 50);
    QCOMPARE(again.index(2 * 37 + 3), epochs[2][3]);
    QCOMPARE(again.index(3), epochs[0][3]);
    QVERIFY(epochs[0] != epochs[1] && epochs[1] != epochs[2]);
    for (auto order : epochs) {
      std::sort(order.begin(), order.end());
      for (std::int64_t i = 0; i < 37; ++i) {
        QCOMPARE(order[static_cast<std::size_t>(i)], i);
      }
    }
  }

  void full_steps_number_micro_batches_by_rank() {
    for (const std::int64_t ranks : {1, 2, 3}) {
      for (const std::int64_t k : {1, 2, 4}) {
        for (std::int64_t r = 0; r < ranks; ++r) {
          const StepPlan p = plan_step(50, 1000, 5, k, r, ranks);
          QCOMPARE(p.first, 50);
          QCOMPARE(p.pictures, 5 * k * ranks);
          QCOMPARE(p.micros, k * ranks);
          QCOMPARE(p.first_micro, r * k);
          QCOMPARE(p.last_micro, (r + 1) * k);
        }
      }
    }
  }

  // 11 pictures are left, 2 a micro-batch: 6 micro-batches for 4 ranks: 2 2 1 1; 3 left: 1 1 0 0.
  void last_step_deals_what_is_left() {
    const std::vector<std::pair<std::int64_t, std::int64_t>> eleven = {
        {0, 2}, {2, 4}, {4, 5}, {5, 6}};
    const std::vector<std::pair<std::int64_t, std::int64_t>> three = {
        {0, 1}, {1, 2}, {2, 2}, {2, 2}};
    for (std::int64_t r = 0; r < 4; ++r) {
      const StepPlan a = plan_step(48, 59, 2, 3, r, 4);
      QCOMPARE(a.pictures, 11);
      QCOMPARE(a.micros, 6);
      QCOMPARE(std::make_pair(a.first_micro, a.last_micro), eleven[static_cast<std::size_t>(r)]);
      const StepPlan b = plan_step(48, 51, 2, 3, r, 4);
      QCOMPARE(std::make_pair(b.first_micro, b.last_micro), three[static_cast<std::size_t>(r)]);
    }
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, plan_step(59, 59, 2, 3, 0, 4));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, plan_step(0, 59, 0, 3, 0, 4));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, plan_step(0, 59, 2, 3, 4, 4));
  }

  void threads_do_not_change_batches() {
    const auto set = std::make_shared<NumberedSet>(10);
    const auto reference = all_batches(set, 47, 3, 2, 2, 0, 0.5);
    QCOMPARE(reference.size(), std::size_t{16});
    for (const std::int64_t threads : {1, 3}) {
      const auto batches = all_batches(set, 47, 3, 2, 2, threads, 0.5);
      QCOMPARE(batches.size(), reference.size());
      for (std::size_t i = 0; i < batches.size(); ++i) {
        QVERIFY(same_batch(batches[i], reference[i]));
      }
    }
  }

  // 23 pictures an epoch: steps of N·3 cross epoch borders and the last step is short.
  void factorisations_give_the_same_micro_batches_data() {
    QTest::addColumn<int>("micros");
    for (const int n : {2, 3, 4, 6}) {
      QTest::addRow("N = %d", n) << n;
    }
  }
  void factorisations_give_the_same_micro_batches() {
    QFETCH(int, micros);
    const auto set = std::make_shared<NumberedSet>(23);
    const auto reference = all_batches(set, 70, 3, micros, 1, 0, 0.3);
    std::int64_t position = 0;
    for (const MicroBatch& batch : reference) {
      QCOMPARE(batch.first, position);
      position += batch.pictures();
    }
    QCOMPARE(position, 70);
    QCOMPARE(reference.back().pictures(), 1);
    for (std::int64_t ranks = 2; ranks <= micros; ++ranks) {
      if (micros % ranks != 0) {
        continue;
      }
      const auto batches = all_batches(set, 70, 3, micros / ranks, ranks, 0, 0.3);
      QCOMPARE(batches.size(), reference.size());
      for (std::size_t i = 0; i < batches.size(); ++i) {
        QVERIFY(same_batch(batches[i], reference[i]));
      }
    }
  }

  void step_may_span_an_epoch() {
    const auto set = std::make_shared<NumberedSet>(5);
    Sampler sampler(5, 11);
    Loader loader(set, 11, plain(), 1);
    loader.announce(plan_step(4, 100, 3, 1, 0, 1));
    const MicroBatch batch = loader.next();
    QCOMPARE(batch.pictures(), 3);
    for (std::int64_t i = 0; i < 3; ++i) {
      const auto label = sampler.index(4 + i) % 2 + 1;
      QCOMPARE(batch.targets[static_cast<std::size_t>(i)].labels[0].item<std::int64_t>(), label);
    }
    QCOMPARE(batch.seed, train::mix_seed(11, 0, static_cast<std::uint64_t>(sampler.index(4))));
  }

  void batch_is_normalised_and_padded() {
    const auto set = std::make_shared<NumberedSet>(6);
    train::TransformOptions options = plain();
    options.input.size_divisor = 4;
    Loader loader(set, 2, options, 0);
    loader.announce(plan_step(0, 6, 6, 1, 0, 1));
    const MicroBatch batch = loader.next();
    QCOMPARE(batch.images.sizes(), (std::vector<std::int64_t>{6, 3, 8, 12}));
    Sampler sampler(6, 2);
    const torch::Tensor mean = torch::tensor({0.25F, 0.5F, 0.75F}).view({3, 1, 1});
    const torch::Tensor std = torch::tensor({0.5F, 0.25F, 0.125F}).view({3, 1, 1});
    for (std::int64_t i = 0; i < 6; ++i) {
      const torch::Tensor image = set->get(sampler.index(i)).image;
      const std::int64_t h = image.size(1), w = image.size(2);
      QCOMPARE(batch.sizes[static_cast<std::size_t>(i)], std::make_pair(h, w));
      const torch::Tensor expected = torch::constant_pad_nd(
          (image.to(torch::kFloat32) / 255 - mean) / std, {0, 12 - w, 0, 8 - h});
      QVERIFY(torch::equal(batch.images[i], expected));
    }
  }

  void flip_mirrors_picture_boxes_and_masks() {
    const auto set = std::make_shared<train::SyntheticDataset>(train::SyntheticOptions{
        .size = 40, .pictures = 8, .noise = 0.05, .masks = true, .seed = 1});
    Loader loader(set, 4, plain(1.0), 0);
    loader.announce(plan_step(0, 8, 8, 1, 0, 1));
    const MicroBatch batch = loader.next();
    Sampler sampler(8, 4);
    const train::Normaliser normaliser(plain().input);
    for (std::int64_t i = 0; i < 8; ++i) {
      const train::Sample sample = set->get(sampler.index(i));
      torch::Tensor expected = torch::empty({3, 40, 40});
      normaliser.write(sample.image.flip(2), false, expected.data_ptr<float>(), 40, 40);
      QVERIFY(torch::equal(batch.images[i], expected));
      const models::Target& target = batch.targets[static_cast<std::size_t>(i)];
      QVERIFY(torch::equal(target.masks, sample.masks.flip(2)));
      using torch::indexing::Slice;
      QVERIFY(
          torch::equal(target.boxes.index({Slice(), 0}), 40 - sample.boxes.index({Slice(), 2})));
      QVERIFY(
          torch::equal(target.boxes.index({Slice(), 2}), 40 - sample.boxes.index({Slice(), 0})));
      QVERIFY(torch::equal(target.boxes.index({Slice(), 1}), sample.boxes.index({Slice(), 1})));
      QVERIFY(torch::equal(target.boxes.index({Slice(), 3}), sample.boxes.index({Slice(), 3})));
    }
  }

  void flips_are_drawn_anew_each_epoch() {
    const auto set = std::make_shared<NumberedSet>(200, -1, false);
    Loader loader(set, 4, plain(0.25), 0);
    Sampler sampler(200, 4);
    std::vector<int> flipped(200);
    std::int64_t count = 0;
    for (std::int64_t p = 0; p < 400; ++p) {
      loader.announce(plan_step(p, 400, 1, 1, 0, 1));
      const bool mirrored = loader.next().targets[0].boxes[0][0].item<float>() == 4.0F;
      count += mirrored ? 1 : 0;
      flipped[static_cast<std::size_t>(sampler.index(p))] += mirrored ? (p < 200 ? 1 : 2) : 0;
    }
    QVERIFY2(count > 65 && count < 135, qPrintable(QString::number(count)));
    QVERIFY(std::count(flipped.begin(), flipped.end(), 1) > 10);
    QVERIFY(std::count(flipped.begin(), flipped.end(), 2) > 10);
  }

  void resizing_scales_boxes() {
    const auto set = std::make_shared<NumberedSet>(1, -1, false);
    train::TransformOptions options = plain(1.0);
    options.input.min_size = 20;
    Loader loader(set, 4, options, 0);
    loader.announce(plan_step(0, 1, 1, 1, 0, 1));
    const MicroBatch batch = loader.next();
    QCOMPARE(batch.images.sizes(), (std::vector<std::int64_t>{1, 3, 20, 20}));
    const torch::Tensor expected = torch::tensor({{20 - 10.0F, 5.0F, 20 - 2.5F, 12.5F}});
    QVERIFY(torch::equal(batch.targets[0].boxes, expected));
  }

  void boxes_that_collapse_are_left_out() {
    train::Sample sample;
    sample.image = torch::zeros({3, 4, 800}, torch::kUInt8);
    sample.boxes = torch::tensor({{0.0F, 0.0F, 1e-5F, 4.0F}, {10.0F, 1.0F, 20.0F, 3.0F}});
    sample.labels = torch::tensor({1, 2}, torch::kInt64);
    sample.masks = torch::ones({2, 4, 800}, torch::kUInt8);
    QCOMPARE(train::transform_target(sample, 4, 800, false).boxes.size(0), 2);
    const auto target = train::transform_target(sample, 4, 800, true);  // 800 - 1e-5 is 800
    QVERIFY(torch::equal(target.boxes, torch::tensor({{780.0F, 1.0F, 790.0F, 3.0F}})));
    QCOMPARE(target.labels[0].item<std::int64_t>(), 2);
    QCOMPARE(target.masks.size(0), 1);
  }

  void sizes_are_drawn_anew_each_epoch() {
    const auto set = std::make_shared<NumberedSet>(60, -1, false);
    train::TransformOptions options = plain();
    options.min_sizes = {10, 20, 30};
    Loader loader(set, 4, options, 0), threaded(set, 4, options, 2);
    Sampler sampler(60, 4);
    std::array<std::array<std::int64_t, 60>, 2> sides{};
    std::array<int, 4> counts{};
    for (std::int64_t p = 0; p < 120; ++p) {
      const StepPlan plan = plan_step(p, 120, 1, 1, 0, 1);
      loader.announce(plan);
      threaded.announce(plan);
      const MicroBatch batch = loader.next();
      QVERIFY(same_batch(batch, threaded.next()));
      const std::int64_t side = std::min(batch.sizes[0].first, batch.sizes[0].second);
      QVERIFY(side == 10 || side == 20 || side == 30);
      ++counts.at(static_cast<std::size_t>(side / 10));
      sides.at(static_cast<std::size_t>(p / 60)).at(static_cast<std::size_t>(sampler.index(p))) =
          side;
    }
    for (const int size : {1, 2, 3}) {
      QVERIFY2(counts.at(static_cast<std::size_t>(size)) > 20, "of 40 expected");
    }
    QVERIFY(sides[0] != sides[1]);
  }

  void cancel_starts_afresh_data() {
    QTest::addColumn<int>("threads");
    QTest::newRow("in the caller's thread") << 0;
    QTest::newRow("two threads") << 2;
  }
  void cancel_starts_afresh() {
    QFETCH(int, threads);
    const auto set = std::make_shared<NumberedSet>(50);
    Loader loader(set, 8, plain(0.5), threads), fresh(set, 8, plain(0.5), 0);
    for (std::int64_t step = 0; step < 5; ++step) {
      loader.announce(plan_step(step * 8, 1000, 4, 2, 0, 1));
    }
    QCOMPARE(loader.pending(), 10);
    loader.next();
    QCOMPARE(loader.pending(), 9);
    loader.cancel();
    QCOMPARE(loader.pending(), 0);
    QVERIFY_THROWS_EXCEPTION(std::logic_error, loader.next());
    const StepPlan plan = plan_step(80, 1000, 2, 3, 0, 1);
    loader.announce(plan);
    fresh.announce(plan);
    for (int i = 0; i < 3; ++i) {
      QVERIFY(same_batch(loader.next(), fresh.next()));
    }
  }

  void bad_picture_is_reported_by_its_batch_data() { cancel_starts_afresh_data(); }
  void bad_picture_is_reported_by_its_batch() {
    QFETCH(int, threads);
    Sampler sampler(12, 3);
    const auto set = std::make_shared<NumberedSet>(12, sampler.index(5));
    Loader loader(set, 3, plain(), threads);
    loader.announce(plan_step(0, 12, 2, 6, 0, 1));
    QCOMPARE(loader.next().number, 0);
    QCOMPARE(loader.next().number, 1);
    QVERIFY_THROWS_EXCEPTION(contract::DataError, loader.next());
    QCOMPARE(loader.next().number, 3);
  }

  void memory_is_bounded() {
    const auto set = std::make_shared<NumberedSet>(1000);
    Loader loader(set, 3, plain(), 2);
    for (std::int64_t step = 0; step < 100; ++step) {
      loader.announce(plan_step(step * 2, 1000, 2, 1, 0, 1));
    }
    QTRY_COMPARE(set->calls.load(), 8);  // (2 threads + 2) micro-batches of 2
    QTest::qWait(30);
    QCOMPARE(set->calls.load(), 8);
  }

  // Sizes that torchvision's GeneralizedRCNNTransform gives.
  void sizes_are_torchvisions_data() {
    QTest::addColumn<QList<qint64>>("in");
    QTest::addColumn<QList<qint64>>("out");
    const auto row = [](qint64 h, qint64 w, qint64 lo, qint64 hi, qint64 oh, qint64 ow) {
      QTest::addRow("%lldx%lld %lld %lld", h, w, lo, hi)
          << QList<qint64>{h, w, lo, hi} << QList<qint64>{oh, ow};
    };
    row(480, 640, 320, 1333, 320, 426);
    row(480, 640, 800, 1333, 800, 1066);
    row(427, 640, 800, 1333, 800, 1199);
    row(640, 427, 600, 1000, 899, 600);
    row(100, 1000, 800, 1333, 133, 1333);
    row(333, 500, 800, 1333, 800, 1201);
    row(375, 500, 256, 320, 240, 320);
    row(1, 7, 3, 9, 1, 9);
    row(479, 479, 321, 400, 321, 321);
    row(612, 612, 224, 1000, 223, 223);
    row(49, 1003, 480, 640, 31, 640);
  }
  void sizes_are_torchvisions() {
    QFETCH(QList<qint64>, in);
    QFETCH(QList<qint64>, out);
    const auto [h, w] = train::resized_size(in[0], in[1], in[2], in[3]);
    QCOMPARE(h, out[0]);
    QCOMPARE(w, out[1]);
  }

  void prepared_pictures_and_padding() {
    const torch::Tensor image = torch::arange(3 * 4 * 6).view({3, 4, 6}).to(torch::kUInt8);
    models::InputTransform transform = plain().input;
    transform.max_size = 3;
    const train::PreparedPicture prepared = train::prepare_picture(image, transform);
    QCOMPARE(prepared.image.sizes(), (std::vector<std::int64_t>{3, 2, 3}));
    QCOMPARE(prepared.scale_x, 0.5);
    QCOMPARE(prepared.scale_y, 0.5);
    const torch::Tensor batch = train::pad_batch({prepared.image, torch::ones({3, 5, 2})}, 4);
    QCOMPARE(batch.sizes(), (std::vector<std::int64_t>{2, 3, 8, 4}));
    QVERIFY(torch::equal(batch[0].narrow(1, 0, 2).narrow(2, 0, 3), prepared.image));
    QCOMPARE(batch[1].sum().item<float>(), 30.0F);
    QCOMPARE(batch[0].narrow(1, 2, 6).abs().sum().item<float>(), 0.0F);
  }
};

BATCHSCOPE_TEST(TestLoader)
#include "tst_loader.moc"
