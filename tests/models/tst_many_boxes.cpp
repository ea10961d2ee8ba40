#include "models/boxes.h"
#include "models/factory.h"
#include "models/matcher.h"
#include "tests/support/detector_fixture.h"
#include "tests/support/test_program.h"

#include <torch/types.h>

#include <QtTest>

#include <fstream>
#include <malloc.h>

using namespace batchscope;

namespace {

/// Largest resident size since the last reset_peak(), MiB.
std::int64_t peak() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) {
      return std::stoll(line.substr(6)) / 1024;
    }
  }
  return 0;
}

/// What was freed and kept must not be in it, or hide what is needed next.
bool reset_peak() {
  malloc_trim(0);
  std::ofstream refs("/proc/self/clear_refs");
  refs << "5" << std::flush;
  return refs.good();
}

torch::Tensor boxes(std::int64_t count, double side, torch::Generator& g) {
  const auto corner = torch::rand({count, 2}, g) * side;
  return torch::cat({corner, corner + torch::rand({count, 2}, g) * 40 + 2}, 1);
}

models::Target target(std::int64_t count, std::int64_t height, std::int64_t width, bool masks) {
  auto g = testing::generator(9);
  models::Target target{boxes(count, 200, g), torch::ones({count}, torch::kInt64), {}, {}};
  if (masks) {
    target.masks = torch::ones({count, height, width}, torch::kUInt8);
  }
  return target;
}

std::int64_t peak_of_a_step(models::Detector& model, const models::Target& target) {
  const torch::Tensor images = torch::zeros({1, 3, 512, 640});
  if (!reset_peak()) {
    return -1;
  }
  const auto losses = model.losses(images, {{512, 640}}, {target}, testing::generator(1));
  testing::total(losses).backward();
  model.zero_grad();
  return peak();
}

}  // namespace

/// Hundreds of boxes in a picture: memory must not grow with boxes times anchors. A process of its
/// own, whose largest resident size nothing else has raised.
class TestManyBoxes : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void matching_needs_little_memory() {
    // As one matrix the overlaps of these would be 240 MB, and the boxes' corners twice that.
    auto g = testing::generator(4);
    const auto truth = boxes(600, 800, g), anchors = boxes(100'000, 800, g);
    const models::MatcherOptions options{.high = 0.7, .low = 0.3, .allow_low_quality = true};
    if (!reset_peak()) {
      QSKIP("this kernel does not let the largest resident size be reset");
    }
    const auto before = peak();
    const auto matches = models::match_boxes(truth, anchors, options);
    QVERIFY2(peak() - before < 150, qPrintable(QString::number(peak() - before)));
    QCOMPARE(matches.size(0), anchors.size(0));
    // In parts, the choice is that of the whole matrix.
    const auto few = anchors.narrow(0, 0, 30'000);
    QVERIFY(torch::equal(models::match_boxes(truth.narrow(0, 0, 90), few, options),
                         models::match(models::box_iou(truth.narrow(0, 0, 90), few), options)));
  }

  // 82,000 anchors: their overlaps with 600 boxes are 200 MB.
  void a_training_step_needs_little_more_data() {
    QTest::addColumn<QString>("name");
    for (const char* name : {"tiny_faster_rcnn", "tiny_mask_rcnn", "tiny_retinanet"}) {
      QTest::newRow(name) << name;
    }
  }
  void a_training_step_needs_little_more() {
    QFETCH(QString, name);
    const auto model = models::make_detector({.name = name.toStdString()});
    const bool masks = models::target_needs(name.toStdString()).masks;
    const auto few = target(2, 512, 640, masks), many = target(600, 512, 640, masks);
    peak_of_a_step(*model, few);  // what is allocated once and kept
    const auto small = peak_of_a_step(*model, few);
    if (small < 0) {
      QSKIP("this kernel does not let the largest resident size be reset");
    }
    const auto growth = peak_of_a_step(*model, many) - small;
    QVERIFY2(growth < 150, qPrintable(QStringLiteral("%1 MiB more").arg(growth)));
  }
};

BATCHSCOPE_TEST(TestManyBoxes)
#include "tst_many_boxes.moc"
