#include "models/box_losses.h"
#include "models/focal_loss.h"
#include "models/mask_head.h"
#include "models/weights/tensor_file.h"
#include "tests/support/test_program.h"

#include <torch/types.h>

#include <QtTest>

using namespace batchscope;

namespace {

torch::Tensor value(const std::string& name) {
  static const auto kValues =
      models::read_tensors(BATCHSCOPE_FIXTURES "/models/losses.safetensors");
  return kValues.at(name);
}

bool close(const torch::Tensor& a, const torch::Tensor& b) {
  return a.sizes() == b.sizes() && torch::allclose(a, b, 1e-12, 1e-12);
}

}  // namespace

/// The losses and mask functions on regular and odd input: torchvision's values
/// (tests/fixtures/models/make_losses.py).
class TestLosses : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void focal_loss_is_torchvisions_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<double>("alpha");
    QTest::addColumn<double>("gamma");
    QTest::newRow("usual") << "usual" << 0.25 << 2.0;
    QTest::newRow("other") << "other" << 0.6 << 1.5;
  }
  void focal_loss_is_torchvisions() {
    QFETCH(QString, name);
    QFETCH(double, alpha);
    QFETCH(double, gamma);
    const std::string key = "focal." + name.toStdString() + ".";
    // The loop of the CPU, and what is composed of torch's operators on other devices.
    for (const auto path : {models::FocalPath::kFused, models::FocalPath::kComposed}) {
      const torch::Tensor logits = value("focal.logits").clone().requires_grad_();
      const torch::Tensor loss = models::focal_loss_sum(
          logits, value("focal.labels"), {.alpha = alpha, .gamma = gamma, .path = path});
      loss.backward();
      QVERIFY(close(loss.detach(), value(key + "loss")));
      QVERIFY(close(logits.grad(), value(key + "grad")));
    }
  }

  void giou_loss_is_torchvisions() {
    const torch::Tensor a = value("giou.a").clone().requires_grad_();
    const torch::Tensor b = value("giou.b");
    for (std::int64_t i = 0; i < a.size(0); ++i) {  // one by one: a wrong row is named
      const auto loss = models::giou_loss_sum(a.narrow(0, i, 1), b.narrow(0, i, 1));
      QVERIFY2(close(loss.detach(), value("giou.loss")[i]), qPrintable(QString::number(i)));
    }
    models::giou_loss_sum(a, b).backward();
    QVERIFY(close(a.grad(), value("giou.grad")));
  }

  void box_losses_are_torchvisions_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<int>("kind");
    QTest::newRow("l1") << "l1" << static_cast<int>(models::BoxLoss::kL1);
    QTest::newRow("smooth l1") << "smooth_l1" << static_cast<int>(models::BoxLoss::kSmoothL1);
    QTest::newRow("giou") << "giou" << static_cast<int>(models::BoxLoss::kGiou);
  }
  void box_losses_are_torchvisions() {
    QFETCH(QString, name);
    QFETCH(int, kind);
    const std::string key = "box." + name.toStdString() + ".";
    const torch::Tensor offsets = value("box.offsets").clone().requires_grad_();
    const auto loss = models::box_loss_sum(static_cast<models::BoxLoss>(kind),
                                           models::BoxCoder({1, 1, 1, 1}),
                                           offsets,
                                           value("box.truth"),
                                           value("box.anchors"));
    loss.backward();
    QVERIFY(close(loss.detach(), value(key + "loss")));
    QVERIFY(close(offsets.grad(), value(key + "grad")));
  }

  void pasted_masks_are_torchvisions() {
    const auto expected = value("paste.masks");
    const auto found = models::paste_masks(
        value("paste.probabilities"), value("paste.boxes"), expected.size(1), expected.size(2));
    QCOMPARE(found.scalar_type(), torch::kUInt8);
    for (std::int64_t k = 0; k < expected.size(0); ++k) {
      QVERIFY2(torch::equal(found[k], expected[k]), qPrintable(QString::number(k)));
    }
    QVERIFY(expected[3].sum().item<std::int64_t>() == 0);  // outside of the picture
  }

  void true_masks_of_regions_are_torchvisions() {
    const auto found = models::project_masks(
        value("project.truth"), value("project.index"), value("project.regions"), 14);
    QVERIFY(close(found, value("project.targets")));
  }
};

BATCHSCOPE_TEST(TestLosses)
#include "tst_losses.moc"
