#include "models/builders.h"
#include "models/weights/tensor_file.h"
#include "tests/support/detector_fixture.h"
#include "tests/support/detector_parity.h"
#include "tests/support/test_program.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <QtTest>

#include <memory>

using namespace batchscope;

namespace {

const testing::Values& fixture() {
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
  o.roi_heads.sampler.per_picture = 16;
  o.rpn.inference.after = 30;
  o.roi_heads.max_detections = 8;
  return std::make_shared<models::FasterRcnn>(o);
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
      const double off = testing::difference(some, fixture().at(key + "level" + std::to_string(i)));
      QVERIFY2(off < 1e-9, qPrintable(QStringLiteral("level %1: %2").arg(i).arg(off)));
    }
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
    QCOMPARE(testing::detections_differ(*model, fixture(), key), std::string());
    model->train();
    torch::Tensor total;
    QCOMPARE(testing::losses_differ(*model, fixture(), key, &total), std::string());
    total.backward();
    QCOMPARE(testing::gradients_differ(*model, fixture().at(key + "gradients")), std::string());
  }
};

BATCHSCOPE_TEST(TestDetectorParity)
#include "tst_detector_parity.moc"
