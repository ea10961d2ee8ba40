#include "models/builders.h"
#include "models/weights/tensor_file.h"
#include "tests/support/detector_fixture.h"

#include <torch/torch.h>

#include <QtTest>

#include <memory>

using namespace batchscope;
using testing::DetectorBatch;

namespace {

const std::map<std::string, torch::Tensor>& fixture() {
  static const auto kValues =
      models::read_tensors(BATCHSCOPE_FIXTURES "/models/detectors.safetensors");
  return kValues;
}

/// The options of the fixture's models: few regions a picture, 5 classes.
std::shared_ptr<models::Detector> build(models::ModelOptions options) {
  options.num_classes = 5;
  const bool v2 = options.name.ends_with("_v2");
  const auto version = v2 ? models::HeadVersion::kV2 : models::HeadVersion::kV1;
  if (options.name.starts_with("retinanet")) {
    return std::make_shared<models::RetinaNet>(models::retinanet_options(options, version));
  }
  auto o = models::faster_rcnn_options(options, version, options.name.starts_with("maskrcnn"));
  o.roi_heads.sampler.per_picture = 64;
  o.rpn.inference.after = 100;
  o.roi_heads.max_detections = 20;
  return std::make_shared<models::FasterRcnn>(o);
}

/// Largest difference, relative to the largest expected magnitude.
double difference(const torch::Tensor& found, const torch::Tensor& expected) {
  if (found.sizes() != expected.sizes()) {
    return std::numeric_limits<double>::infinity();
  }
  if (expected.numel() == 0) {
    return 0;
  }
  const torch::Tensor e = expected.to(torch::kFloat64);
  return ((found.to(torch::kFloat64) - e).abs().max() / e.abs().max().clamp_min(1e-12))
      .item<double>();
}

double overlap(const torch::Tensor& a, const torch::Tensor& b) {
  const double either = (a + b).gt(0).sum().item<double>();
  return either == 0 ? 1 : (a * b).gt(0).sum().item<double>() / either;
}

struct Model {
  std::string name;
  std::shared_ptr<models::Detector> detector;
};

/// The last model asked for: functions of one row share it.
std::shared_ptr<models::Detector> filled(const models::ModelOptions& options) {
  static Model last;
  if (last.name != options.name) {
    last = {options.name, nullptr};
    last.detector = build(options);
    last.detector->to(torch::kFloat64);
    testing::fill_weights(*last.detector);
  }
  last.detector->zero_grad();
  return last.detector;
}

}  // namespace

class TestDetectorParity : public QObject {
  Q_OBJECT

  static void compare_levels(models::Detector& model, const std::string& key) {
    const torch::NoGradGuard no_grad;
    auto* backbone = model.named_children()["backbone"]->as<models::FpnBackbone>();
    QVERIFY(backbone != nullptr);
    const auto levels = backbone->forward(testing::make_batch(31).images);
    QCOMPARE(levels.size(), std::size_t(5));
    using torch::indexing::Slice;
    for (std::size_t i = 0; i < levels.size(); ++i) {
      const auto some = levels[i].index({Slice(),
                                         Slice(torch::indexing::None, torch::indexing::None, 37),
                                         Slice(torch::indexing::None, torch::indexing::None, 3),
                                         Slice(torch::indexing::None, torch::indexing::None, 3)});
      const double off = difference(some, fixture().at(key + "level" + std::to_string(i)));
      QVERIFY2(off < 1e-9, qPrintable(QStringLiteral("level %1: %2").arg(i).arg(off)));
    }
  }

  static void compare_found(models::Detector& model, const std::string& key) {
    const auto batch = testing::make_batch(31);
    const auto found = model.detect(batch.images, batch.sizes);
    QCOMPARE(found.size(), batch.sizes.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::string at = key + "found" + std::to_string(i) + ".";
      QVERIFY(fixture().at(at + "labels").numel() > 0);
      QVERIFY(torch::equal(found[i].labels, fixture().at(at + "labels")));
      const auto boxes = (found[i].boxes - fixture().at(at + "boxes")).abs().max().item<double>();
      QVERIFY2(boxes < 1e-3, qPrintable(QStringLiteral("boxes: %1 px").arg(boxes)));
      const auto scores =
          (found[i].scores - fixture().at(at + "scores")).abs().max().item<double>();
      QVERIFY2(scores < 1e-6, qPrintable(QStringLiteral("scores: %1").arg(scores)));
      QCOMPARE(found[i].masks.defined(), fixture().contains(at + "masks"));
      if (found[i].masks.defined()) {
        compare_masks(found[i], at);
      }
    }
  }

  static void compare_masks(const models::Detection& found, const std::string& at) {
    const auto expected = fixture().at(at + "masks");
    const auto rows = expected.size(0);
    QCOMPARE(found.masks.size(0), found.boxes.size(0));
    QVERIFY(torch::allclose(found.mask_probabilities.narrow(0, 0, rows),
                            fixture().at(at + "mask_probabilities"),
                            1e-6,
                            1e-6));
    for (std::int64_t k = 0; k < rows; ++k) {
      QVERIFY(overlap(found.masks[k], expected[k]) > 0.999);
    }
  }

  static void compare_losses(models::Detector& model, const std::string& key) {
    const auto batch = testing::make_batch(31);
    const auto losses =
        model.losses(batch.images, batch.sizes, batch.targets, testing::generator(23));
    for (const auto& [name, loss] : losses) {
      const double expected = fixture().at(key + name).item<double>();
      QVERIFY2(std::abs(loss.item<double>() - expected) <= 1e-9 * std::abs(expected),
               qPrintable(QStringLiteral("%1: %2, expected %3")
                              .arg(QString::fromStdString(name))
                              .arg(loss.item<double>(), 0, 'g', 12)
                              .arg(expected, 0, 'g', 12)));
    }
    testing::total(losses).backward();
    std::vector<torch::Tensor> rows;
    for (const auto& [name, value] : testing::sorted_state(model)) {
      if (value.requires_grad()) {
        const auto flat = value.grad().contiguous().flatten();
        rows.push_back(torch::stack({flat.norm(), flat[0], flat[flat.numel() / 2], flat[-1]}));
      }
    }
    const auto expected = fixture().at(key + "gradients");
    QCOMPARE(static_cast<std::int64_t>(rows.size()), expected.size(0));
    // Values of a tensor are compared on the scale of its norm.
    const auto off = ((torch::stack(rows) - expected).abs() / expected.narrow(1, 0, 1)).max();
    QVERIFY2(off.item<double>() < 1e-8, qPrintable(QString::number(off.item<double>())));
  }

 private Q_SLOTS:
  void equals_torchvision_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("norm");
    QTest::addColumn<double>("eps");
    QTest::newRow("faster v1, frozen, eps 0") << "fasterrcnn_resnet50_fpn"
                                              << "frozen" << 0.0;
    QTest::newRow("mask v1, frozen") << "maskrcnn_resnet50_fpn"
                                     << "frozen" << 1e-5;
    QTest::newRow("retina v1, bn") << "retinanet_resnet50_fpn"
                                   << "bn" << 1e-5;
    QTest::newRow("faster v2, bn") << "fasterrcnn_resnet50_fpn_v2"
                                   << "bn" << 1e-5;
    QTest::newRow("mask v2, bn") << "maskrcnn_resnet50_fpn_v2"
                                 << "bn" << 1e-5;
    QTest::newRow("retina v2, bn") << "retinanet_resnet50_fpn_v2"
                                   << "bn" << 1e-5;
  }
  void equals_torchvision() {
    QFETCH(QString, name);
    QFETCH(QString, norm);
    QFETCH(double, eps);
    const auto model = filled({.name = name.toStdString(),
                               .norm = norm.toStdString(),
                               .norm_eps = eps,
                               .pretrained = norm == QLatin1String("frozen")});
    const std::string key = name.toStdString() + ".";
    model->eval();
    compare_levels(*model, key);
    compare_found(*model, key);
    model->train();
    compare_losses(*model, key);
  }
};

QTEST_GUILESS_MAIN(TestDetectorParity)
#include "tst_detector_parity.moc"
