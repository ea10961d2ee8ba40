#include "engine/data/loader.h"
#include "engine/metrics/rle.h"
#include "engine/train/found_objects.h"
#include "models/factory.h"
#include "models/weights/tensor_file.h"
#include "tests/support/detector_fixture.h"
#include "tests/support/test_program.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <QtTest>

#include <cmath>

using namespace batchscope;

namespace {

torch::Tensor value(const std::string& name) {
  static const auto kValues =
      models::read_tensors(BATCHSCOPE_FIXTURES "/models/pictures.safetensors");
  return kValues.at(name);
}

/// A model of the fixture's weights (tests/fixtures/models/make_pictures.py), in float32 as users
/// run it.
std::shared_ptr<models::Detector> model() {
  static const auto kModel = [] {
    auto made = models::make_detector({.name = "maskrcnn_resnet50_fpn",
                                       .backbone = "resnet18",
                                       .norm = "frozen",
                                       .num_classes = 5,
                                       .pretrained = true,
                                       .min_size = 128,
                                       .max_size = 200,
                                       .max_detections = 20,
                                       .rpn = {.post_nms_top_n_test = 100}});
    made->to(torch::kFloat64);
    testing::fill_weights(*made);
    const torch::NoGradGuard no_grad;
    made->named_parameters()["roi_heads.mask_predictor.mask_fcn_logits.bias"] += 0.5;
    made->to(torch::kFloat32);
    made->eval();
    return made;
  }();
  return kModel;
}

/// 1 where both are empty.
double overlap(const train::Rle& a, const torch::Tensor& b) {
  const auto pixels = static_cast<std::size_t>(b.numel());
  const torch::Tensor mask = b.contiguous();
  const train::Rle other = train::rle_from_mask({mask.const_data_ptr<std::uint8_t>(), pixels},
                                                static_cast<std::uint32_t>(b.size(0)),
                                                static_cast<std::uint32_t>(b.size(1)));
  return train::rle_area(a) + train::rle_area(other) == 0
             ? 1
             : train::rle_iou(a, other, /*crowd=*/false);
}

}  // namespace

/// From a stored picture to objects in its pixels, resizing included, beside torchvision.
class TestPictureParity : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void resizing_is_torchvisions_data() {
    QTest::addColumn<QString>("name");
    QTest::newRow("enlarged") << "enlarged";
    QTest::newRow("reduced") << "reduced";
  }
  void resizing_is_torchvisions() {
    QFETCH(QString, name);
    const std::string key = name.toStdString() + ".";
    const auto prepared = train::prepare_picture(value(key + "image"), model()->input_transform());
    const auto size = value(key + "size");
    QCOMPARE(prepared.image.size(1), size[0].item<std::int64_t>());
    QCOMPARE(prepared.image.size(2), size[1].item<std::int64_t>());
    using torch::indexing::None;
    using torch::indexing::Slice;
    const auto padded = train::pad_batch({prepared.image}, 32)[0];
    const auto some = padded.index({Slice(), Slice(None, None, 5), Slice(None, None, 5)});
    const auto expected = value(key + "transformed");
    QCOMPARE(some.sizes(), expected.sizes());
    const double off = (some - expected).abs().max().item<double>();
    QVERIFY2(off < 1e-5, qPrintable(QString::number(off)));
    // What would be another picture: resizing that averages.
    auto averaging = model()->input_transform();
    averaging.antialias = true;
    const auto other =
        train::pad_batch({train::prepare_picture(value(key + "image"), averaging).image}, 32)[0];
    QVERIFY((other - padded).abs().max().item<double>() > 1e-3);
  }

  void objects_are_torchvisions_data() { resizing_is_torchvisions_data(); }
  void objects_are_torchvisions() {
    QFETCH(QString, name);
    const std::string key = name.toStdString() + ".";
    const auto image = value(key + "image");
    const auto prepared = train::prepare_picture(image, model()->input_transform());
    const auto found = model()->detect(train::pad_batch({prepared.image}, 32),
                                       {{prepared.image.size(1), prepared.image.size(2)}});
    const auto objects = train::found_objects(found.at(0),
                                              {.id = 1,
                                               .height = image.size(1),
                                               .width = image.size(2),
                                               .scale_x = prepared.scale_x,
                                               .scale_y = prepared.scale_y},
                                              [](std::int64_t label) { return label; });
    const auto labels = value(key + "labels"), scores = value(key + "scores"),
               boxes = value(key + "boxes"), masks = value(key + "masks");
    QCOMPARE(static_cast<std::int64_t>(objects.objects.size()), labels.size(0));
    QVERIFY(labels.size(0) >= 5);
    for (std::int64_t k = 0; k < labels.size(0); ++k) {
      const auto& object = objects.objects[static_cast<std::size_t>(k)];
      QCOMPARE(object.category, labels[k].item<std::int64_t>());
      QVERIFY(std::abs(object.score - scores[k].item<double>()) < 1e-4);
      const double corners[] = {object.x, object.y, object.x + object.w, object.y + object.h};
      for (std::int64_t c = 0; c < 4; ++c) {
        const double off = std::abs(corners[c] - boxes[k][c].item<double>());
        QVERIFY2(off < 1e-2, qPrintable(QStringLiteral("box %1: %2 px").arg(k).arg(off)));
      }
    }
    QVERIFY(masks.sum().item<std::int64_t>() > 500);
    for (std::int64_t k = 0; k < masks.size(0); ++k) {
      const double same = overlap(objects.masks[static_cast<std::size_t>(k)], masks[k]);
      QVERIFY2(same >= 0.99, qPrintable(QStringLiteral("mask %1: %2").arg(k).arg(same)));
    }
  }
};

BATCHSCOPE_TEST(TestPictureParity)
#include "tst_picture_parity.moc"
