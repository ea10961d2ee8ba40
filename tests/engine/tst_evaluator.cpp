#include "engine/contract/error.h"
#include "engine/metrics/openimages.h"
#include "engine/train/evaluator.h"
#include "tests/support/spawn_ranks.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <cstdio>
#include <unistd.h>

using namespace batchscope;
using batchscope::test::rank_case;
using batchscope::test::spawn_ranks;

namespace {

constexpr std::int64_t kBlock = 2;

/// Pictures that say their number by their brightness, with one object each.
class Numbered : public train::Dataset {
 public:
  /// With `pixels` the object is the square of 4 px at (1, 1) and the rest is stuff.
  explicit Numbered(std::int64_t size, bool pixels = false) : size_(size), pixels_(pixels) {
    if (pixels_) {
      classes_.emplace_back("stuff");
    }
  }
  std::int64_t size() const override { return size_; }
  train::Sample get(std::int64_t index) const override {
    train::Sample sample;
    sample.image = torch::full({3, 8, 8}, double(index) / 256);
    return sample;
  }
  std::vector<train::TruthBox> truth(std::int64_t index) const override {
    if (pixels_) {
      return {{1, 1, 4, 4, 16, 1, false}};
    }
    return {{double(index), 0, 10, 10 + double(index), 100 + 10 * double(index), 1, false}};
  }
  std::optional<std::vector<train::Rle>> truth_masks(std::int64_t) const override {
    return {{train::Rle{8, 8, {9, 4, 4, 4, 4, 4, 4, 4, 27}}}};
  }
  std::optional<train::LabelMap> semantic_truth(std::int64_t) const override {
    train::LabelMap map{8, 8, std::vector<std::uint32_t>(64, 2)};
    for (std::size_t y = 1; y < 5; ++y) {
      std::fill_n(map.labels.begin() + std::ptrdiff_t(8 * y + 1), 4, 1U);
    }
    return map;
  }
  std::optional<train::PanopticTruth> panoptic_truth(std::int64_t index) const override {
    return train::PanopticTruth{*semantic_truth(index), {{1, 1}, {2, 2}}};
  }
  const train::OpenImagesRules* openimages() const override { return &rules_; }
  std::int64_t things() const override { return 1; }
  std::int64_t image_id(std::int64_t index) const override { return 1000 - index; }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::int64_t category_id(std::int64_t label) const override { return label; }
  std::string checksum() const override { return {}; }

 private:
  std::int64_t size_;
  bool pixels_;
  std::vector<std::string> classes_ = {"thing"};
  train::OpenImagesRules rules_;
};

/// Finds the object of each picture, in every third one beside it. A picture that is gone through
/// twice costs precision, one that is left out recall.
class Reader : public models::Detector {
 public:
  explicit Reader(bool pixels = false) : pixels_(pixels) {}
  models::Losses losses(const torch::Tensor&,
                        const std::vector<std::pair<std::int64_t, std::int64_t>>&,
                        const std::vector<models::Target>&,
                        torch::Generator) override {
    return {};
  }
  std::vector<models::Detection> detect(
      const torch::Tensor& images,
      const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) override {
    std::vector<models::Detection> found;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const double value = images[std::int64_t(i)][0][0][0].item<double>();
      const double n = std::round(value * 256);
      seen.push_back(std::int64_t(n));
      const double x = n + (seen.back() % 3 == 2 ? 50 : 0);
      found.push_back({torch::tensor({x, 0.0, x + 10, 10 + n}).reshape({1, 4}).to(torch::kFloat32),
                       torch::ones({1}, torch::kInt64),
                       torch::full({1}, 0.9 - n / 100)});
      if (pixels_) {
        add_pixels(found.back(), seen.back() % 3 == 2);
      }
    }
    return found;
  }
  std::vector<models::ModuleGroup> module_groups() const override { return {}; }
  models::InputTransform input_transform() const override {
    return {.mean = {0, 0, 0}, .std = {1, 1, 1}};
  }
  std::vector<std::string> loss_names() const override { return {}; }
  std::vector<std::int64_t> seen;

 private:
  /// The object as it is, or beside it: then the map says stuff everywhere.
  static void add_pixels(models::Detection& detection, bool beside) {
    const float first = beside ? 4 : 1;
    detection.boxes = torch::tensor({first, first, first + 4, first + 4}).view({1, 4});
    // Pasting grows the box by a pixel here, and each of its six columns looks at one of 30 bins.
    detection.mask_probabilities = torch::zeros({1, 28, 28});
    detection.mask_probabilities.slice(1, 4, 24).slice(2, 4, 24).fill_(1);
    detection.semantic = torch::full({8, 8}, 2, torch::kInt16);
    if (!beside) {
      detection.semantic.slice(0, 1, 5).slice(1, 1, 5).fill_(1);
    }
    detection.segments = detection.semantic.to(torch::kInt32);
    detection.segment_labels = torch::tensor(std::vector<std::int64_t>{1, 2});
  }
  bool pixels_;
};

struct Outcome {
  train::EvalResult result;
  std::vector<std::int64_t> seen;
};

Outcome outcome(train::Group& group,
                std::int64_t pictures,
                std::int64_t limit = 0,
                const std::function<void()>& beat = nullptr,
                bool pixels = false) {
  Reader model(pixels);
  train::EvalOptions options;
  options.batch = kBlock;
  options.max_pictures = limit;
  options.transform = model.input_transform();
  Outcome out;
  out.result = train::evaluate(model, Numbered(pictures, pixels), group, options, beat);
  out.seen = model.seen;
  return out;
}

/// One rank of a world: the figures and the pictures seen, on a line.
int run_rank(const std::string& name) {
  const train::LaunchEnv env = train::launch_env();
  try {
    const auto group = train::Group::create(env, torch::kCPU, std::chrono::seconds(20));
    if (name == "lost") {
      int beats = 0;
      outcome(*group, 40, 0, [&] {
        if (group->rank() == 1 && ++beats == 2) {
          _exit(9);
        }
      });
      return 0;
    }
    const bool pixels = name.ends_with("p");
    const Outcome out = outcome(*group, std::stoll(name), 0, nullptr, pixels);
    std::string line = "seen";
    for (const std::int64_t n : out.seen) {
      line += " " + std::to_string(n);
    }
    for (const auto& [figure, value] : out.result.metrics) {
      std::array<char, 40> text{};
      std::snprintf(text.data(), text.size(), "%a", value);
      line += " " + figure + "=" + text.data();
    }
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
    group->barrier();
  } catch (const contract::PeerError& error) {
    std::printf("%s\n", error.what());
    std::fflush(stdout);
    _exit(5);
  }
  return 0;
}

}  // namespace

class TestEvaluator : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void one_rank_sees_each_picture_once() {
    const auto group = train::Group::create({}, torch::kCPU);
    for (const std::int64_t pictures : {1, 2, 7, 13}) {
      const Outcome out = outcome(*group, pictures);
      QCOMPARE(out.seen.size(), std::size_t(pictures));
      for (std::int64_t i = 0; i < pictures; ++i) {
        QCOMPARE(out.seen[std::size_t(i)], i);
      }
      QCOMPARE(out.result.pictures, pictures);
      const std::int64_t right = pictures - pictures / 3;
      QCOMPARE(out.result.metrics.at("AR100"), double(right) / double(pictures));
    }
    QCOMPARE(outcome(*group, 13, 5).seen.size(), std::size_t{5});
  }

  // By falling score: hits in pictures 0, 1, 3, 4, 6, beside in 2 and 5.
  void open_images_figure_counts_each_picture_once() {
    const auto group = train::Group::create({}, torch::kCPU);
    const double figure = outcome(*group, 7).result.metrics.at("OpenImages_AP50");
    QVERIFY(std::abs(figure - (1 + 1 + 0.8 + 0.8 + 5.0 / 7) / 7) < 1e-12);
  }

  // Right in 5 of 7 pictures; in the other two the object's 16 of 64 pixels are taken for stuff.
  void masks_and_maps_are_measured() {
    const auto group = train::Group::create({}, torch::kCPU);
    const auto metrics = outcome(*group, 7, 0, nullptr, true).result.metrics;
    QCOMPARE(metrics.at("AR100"), 5.0 / 7);
    QCOMPARE(metrics.at("segm_AR100"), 5.0 / 7);
    QCOMPARE(metrics.at("segm_APm"), -1.0);  // 16 pixels are a small object
    const double stuff = 48.0 * 7 / (48.0 * 7 + 32);
    QCOMPARE(metrics.at("mIoU"), (5.0 / 7 + stuff) / 2);
    QCOMPARE(metrics.at("PQ_th"), 5.0 / (5 + 0.5 * 2));  // two missed
    QCOMPARE(metrics.at("SQ_st"), (5 + 2 * 0.75) / 7);
    QCOMPARE(metrics.at("RQ_st"), 1.0);
    QCOMPARE(metrics.at("PQ"), (metrics.at("PQ_th") + metrics.at("PQ_st")) / 2);
    QVERIFY(!outcome(*group, 7).result.metrics.contains("mIoU"));
  }

  void ranks_data() {
    QTest::addColumn<int>("world");
    QTest::addColumn<int>("pictures");
    QTest::addColumn<bool>("pixels");
    QTest::newRow("2 ranks, masks and maps") << 2 << 7 << true;
    for (const int world : {2, 3}) {
      for (const int pictures : {1, 4, 7, 13}) {  // fewer than blocks, even, odd
        QTest::addRow("%d ranks, %d pictures", world, pictures) << world << pictures << false;
      }
    }
  }
  void ranks() {
    QFETCH(int, world);
    QFETCH(int, pictures);
    QFETCH(bool, pixels);
    const auto group = train::Group::create({}, torch::kCPU);
    const Outcome alone = outcome(*group, pictures, 0, nullptr, pixels);
    test::SpawnOptions options;
    options.name = std::to_string(pictures) + (pixels ? "p" : "");
    options.world = world;
    QList<int> seen;
    for (const auto& rank : spawn_ranks(options)) {
      QVERIFY2(rank.code == 0, rank.output.c_str());
      const QString output = QString::fromStdString(rank.output);
      for (const QString& word :
           output.mid(output.indexOf(QLatin1String("seen")) + 5)
               .split(QRegularExpression(QStringLiteral("\\s+")), Qt::SkipEmptyParts)) {
        const qsizetype sign = word.indexOf(QLatin1Char('='));
        if (sign < 0) {
          seen << word.toInt();
          continue;
        }
        const double value = std::strtod(word.mid(sign + 1).toStdString().c_str(), nullptr);
        QCOMPARE(value, alone.result.metrics.at(word.left(sign).toStdString()));
      }
      QVERIFY(output.contains(QLatin1String("AR100=")) &&
              output.contains(QLatin1String("OpenImages_AP50=")));
    }
    std::sort(seen.begin(), seen.end());
    QCOMPARE(seen.size(), qsizetype(pictures));
    for (int i = 0; i < pictures; ++i) {
      QCOMPARE(seen[i], i);
    }
  }

  void a_lost_rank_ends_the_others() {
    test::SpawnOptions options;
    options.name = "lost";
    options.world = 3;
    const auto results = spawn_ranks(options);
    QCOMPARE(results[1].code, 9);
    for (const int rank : {0, 2}) {
      QVERIFY2(results[std::size_t(rank)].code == 5, results[std::size_t(rank)].output.c_str());
    }
  }
};

static int main_of_test(int argc, char** argv) {
  if (const std::string name = rank_case(); !name.empty()) {
    return run_rank(name);
  }
  QCoreApplication app(argc, argv);
  TestEvaluator test;
  return QTest::qExec(&test, argc, argv);
}
BATCHSCOPE_TEST_MAIN(main_of_test)
#include "tst_evaluator.moc"
