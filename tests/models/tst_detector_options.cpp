#include "models/builder_changes.h"
#include "models/builders.h"
#include "models/weights/tensor_file.h"
#include "tests/support/detector_fixture.h"
#include "tests/support/detector_parity.h"
#include "tests/support/test_program.h"

#include <torch/nn/module.h>
#include <torch/utils.h>

#include <QtTest>

#include <memory>
#include <stdexcept>

using namespace batchscope;
using torch::indexing::None;
using torch::indexing::Slice;

namespace {

const testing::Values& fixture() {
  static const auto kValues =
      models::read_tensors(BATCHSCOPE_FIXTURES "/models/changed.safetensors");
  return kValues;
}

/// Every option of the builders is another than theirs: those of make_changed.py.
models::ModelOptions changed(const std::string& name) {
  models::ModelOptions o{.name = name + "_resnet50_fpn",
                         .backbone = "resnet18",
                         .norm = "frozen",
                         .num_classes = 5,
                         .pretrained = true,
                         .score_threshold = 0.1,
                         .nms_threshold = 0.4};
  if (name == "retinanet") {
    o.max_detections = 50;
    o.anchors = {{20, 40, 80, 160, 320}, {1, 1.3}, {0.7, 1.4}};
    o.retinanet = {.fg_iou_threshold = 0.45, .bg_iou_threshold = 0.3, .topk_candidates = 200};
    return o;
  }
  o.max_detections = 15;
  o.anchors = {{24, 40, 80, 120, 200}, {1, 1.25}, {0.5, 1.0, 1.5}};
  o.rpn = {.pre_nms_top_n_train = 200,
           .pre_nms_top_n_test = 150,
           .post_nms_top_n_train = 120,
           .post_nms_top_n_test = 60,
           .nms_threshold = 0.6,
           .score_threshold = 0.4,
           .fg_iou_threshold = 0.6,
           .bg_iou_threshold = 0.4,
           .batch_size_per_image = 96,
           .positive_fraction = 0.4};
  o.box = {.fg_iou_threshold = 0.45,
           .bg_iou_threshold = 0.35,
           .batch_size_per_image = 48,
           .positive_fraction = 0.3,
           .reg_weights = {8, 9, 4, 6},
           .pool_size = 5,
           .sampling_ratio = 3};
  if (name == "maskrcnn") {
    o.mask_pool_size = 10;
  }
  return o;
}

std::shared_ptr<models::Detector> filled(const models::ModelOptions& options) {
  auto model = models::make_detector(options);
  model->to(torch::kFloat64);
  testing::fill_weights(*model);
  return model;
}

template <typename Module>
Module& child(torch::nn::Module& model, const std::string& name) {
  auto* found = model.named_children()[name]->as<Module>();
  if (found == nullptr) {
    throw std::logic_error(name + " is another module");
  }
  return *found;
}

/// The stages on the way to the detections, compared as they are computed.
class Stages {
 public:
  Stages(models::Detector& model, std::string key)
      : model_(model), key_(std::move(key)), batch_(testing::make_batch(31)) {}

  void run() {
    const torch::NoGradGuard no_grad;
    model_.eval();
    auto& backbone = child<models::FpnBackboneImpl>(model_, "backbone");
    const auto maps = child<models::ResNetImpl>(backbone, "body").forward(batch_.images, {});
    const bool one_stage = model_.named_children().contains("head");
    for (std::size_t i = one_stage ? 1 : 0; i < maps.size(); ++i) {
      compare("body" + std::to_string(one_stage ? i - 1 : i), maps[i]);
    }
    const auto features = backbone.forward(batch_.images);
    for (std::size_t i = 0; i < features.size(); ++i) {
      compare("pyramid" + std::to_string(i), features[i]);
    }
    one_stage ? dense_heads(features) : two_stages(features);
  }

 private:
  void dense_heads(const std::vector<torch::Tensor>& features) {
    const auto [logits, offsets] =
        child<models::RetinaNetHeadImpl>(model_, "head").forward(features);
    compare("cls_logits", torch::cat(logits, 1));
    compare("bbox_regression", torch::cat(offsets, 1));
  }

  void two_stages(const std::vector<torch::Tensor>& features) {
    auto& rpn = child<models::RpnImpl>(model_, "rpn");
    const auto [logits, offsets] = rpn.head->forward(features);
    for (std::size_t i = 0; i < features.size(); ++i) {
      compare("logits" + std::to_string(i), logits[i]);
      compare("offsets" + std::to_string(i), offsets[i]);
    }
    const auto proposals =
        rpn.propose(rpn.forward(features, {batch_.images.size(2), batch_.images.size(3)}),
                    batch_.sizes,
                    rpn.options().inference);
    for (std::size_t i = 0; i < proposals.size(); ++i) {
      const auto expected = fixture().at(key_ + "proposals" + std::to_string(i));
      check("proposals" + std::to_string(i), testing::difference(proposals[i], expected));
    }
    auto& heads = child<models::RoiHeadsImpl>(model_, "roi_heads");
    const std::vector<torch::Tensor> levels(features.begin(), features.end() - 1);
    const auto pooled = models::pool_regions(levels, proposals, batch_.sizes, heads.options().pool);
    compare("pooled", pooled);
    const auto hidden = child<models::BoxHead>(heads, "box_head").forward(pooled);
    compare("hidden", hidden);
    const auto [classes, regression] =
        child<models::BoxPredictorImpl>(heads, "box_predictor").forward(hidden);
    compare("classes", classes);
    compare("regression", regression);
  }

  /// Every 37th number is kept.
  void compare(const std::string& name, const torch::Tensor& found) {
    const auto some = found.contiguous().flatten().index({Slice(None, None, 37)});
    check(name, testing::difference(some, fixture().at(key_ + name)));
  }
  void check(const std::string& name, double off) {
    QVERIFY2(off < 1e-9, (name + ": " + std::to_string(off)).c_str());
  }

  models::Detector& model_;
  std::string key_;
  testing::DetectorBatch batch_;
};

std::string refusal(const models::ModelOptions& options) {
  try {
    models::make_detector(options);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

}  // namespace

/// Detectors whose options are none of the builders' own, and what they refuse.
class TestDetectorOptions : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void changed_options_are_torchvisions_data() {
    QTest::addColumn<QString>("name");
    for (const char* name : {"fasterrcnn", "maskrcnn", "retinanet"}) {
      QTest::newRow(name) << name;
    }
  }
  /// The stages first: they tell where what follows goes wrong.
  void changed_options_are_torchvisions() {
    QFETCH(QString, name);
    const auto model = filled(changed(name.toStdString()));
    const std::string key = "changed." + name.toStdString() + ".";
    Stages(*model, key + "stage.").run();
    if (QTest::currentTestFailed()) {
      return;
    }
    QCOMPARE(testing::detections_differ(*model, fixture(), key), std::string());
    model->train();
    QCOMPARE(testing::losses_differ(*model, fixture(), key), std::string());
  }

  void every_stage_on_resnet101_is_torchvisions() {
    const auto model = filled({.name = "fasterrcnn_resnet50_fpn",
                               .backbone = "resnet101",
                               .norm = "frozen",
                               .num_classes = 5,
                               .pretrained = true,
                               .rpn = {.post_nms_top_n_test = 60}});
    Stages(*model, "resnet101.stage.").run();
  }

  void no_change_is_the_builders_own() {
    // pyramid_anchors makes torchvision's float sizes whole as torchvision does.
    const auto anchors = models::pyramid_anchors({}, 32, {1.0, std::pow(2.0, 1.0 / 3)});
    QCOMPARE(anchors.sizes.size(), std::size_t{5});
    QCOMPARE(anchors.sizes[0], (std::vector<std::int64_t>{32, 40}));
    QCOMPARE(anchors.sizes[4], (std::vector<std::int64_t>{512, 645}));
    QCOMPARE(anchors.aspect_ratios[2], (std::vector<double>{0.5, 1.0, 2.0}));
  }

  void input_is_changed_for_all() {
    for (const char* name : {"lab_faster_rcnn", "tiny_retinanet", "tiny_semantic_fpn"}) {
      const auto model = models::make_detector({.name = name,
                                                .stuff_classes = 2,
                                                .min_size = 60,
                                                .image_mean = {0.1, 0.2, 0.3},
                                                .image_std = {1, 2, 3}});
      const auto input = model->input_transform();
      QCOMPARE(input.mean, (std::vector<double>{0.1, 0.2, 0.3}));
      QCOMPARE(input.std, (std::vector<double>{1, 2, 3}));
      QCOMPARE(input.min_size, 60);
      QCOMPARE(input.max_size, 0);  // a bound of its own would undo what was asked for
    }
    const auto bounded = models::make_detector({.name = "tiny_retinanet", .max_size = 100});
    QCOMPARE(bounded->input_transform().min_size, 240);
    QCOMPARE(bounded->input_transform().max_size, 100);
  }

  void what_a_model_does_not_have_is_refused_data() {
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("model");
    const std::map<std::string, std::vector<std::string>> refusals = {
        {"model.score_threshold", {"lab_faster_rcnn", "tiny_semantic_fpn"}},
        {"model.anchors", {"lab_faster_rcnn", "tiny_semantic_fpn"}},
        {"model.rpn", {"lab_faster_rcnn", "tiny_retinanet", "tiny_semantic_fpn"}},
        {"model.box", {"lab_faster_rcnn", "tiny_retinanet"}},
        {"model.mask.pool_size", {"tiny_faster_rcnn", "tiny_retinanet"}},
        {"model.retinanet", {"tiny_faster_rcnn", "tiny_panoptic_fpn"}},
        {"model.min_stuff_area", {"tiny_mask_rcnn", "tiny_semantic_fpn"}}};
    for (const auto& [key, models] : refusals) {
      for (const std::string& model : models) {
        QTest::addRow("%s of %s", key.c_str(), model.c_str())
            << QString::fromStdString(key) << QString::fromStdString(model);
      }
    }
  }
  void what_a_model_does_not_have_is_refused() {
    QFETCH(QString, key);
    QFETCH(QString, model);
    const std::string changed = key.toStdString();
    const auto where = [&](const char* name, auto value) {
      return changed == name ? std::optional<decltype(value)>(value) : std::nullopt;
    };
    models::ModelOptions o{.name = model.toStdString(), .stuff_classes = 2};
    QCOMPARE(refusal(o), std::string());
    o.score_threshold = where("model.score_threshold", 0.1);
    o.anchors.scales.resize(changed == "model.anchors" ? 1 : 0, 1.0);
    o.rpn.nms_threshold = where("model.rpn", 0.1);
    o.box.positive_fraction = where("model.box", 0.1);
    o.mask_pool_size = where("model.mask.pool_size", std::int64_t{7});
    o.retinanet.topk_candidates = where("model.retinanet", std::int64_t{7});
    o.min_stuff_area = where("model.min_stuff_area", std::int64_t{7});
    QVERIFY2(refusal(o).starts_with(changed + ": only "), refusal(o).c_str());
    QVERIFY2(refusal(o).ends_with(o.name), refusal(o).c_str());
  }

  void impossible_values_are_refused() {
    models::ModelOptions o{.name = "tiny_faster_rcnn"};
    o.anchors.sizes = {8, 16, 32};
    QVERIFY2(refusal(o).starts_with("model.anchors.sizes: expected a size for each of the 5"),
             refusal(o).c_str());
    o.anchors = {{1, 16, 32, 64, 128}, {0.5}, {}};
    QVERIFY2(refusal(o).starts_with("model.anchors.scales: expected anchors of 1 px"),
             refusal(o).c_str());
    o.anchors = {};
    o.rpn.fg_iou_threshold = 0.2;
    QVERIFY2(refusal(o).starts_with("model.rpn.bg_iou_threshold: expected at most"),
             refusal(o).c_str());
    o.rpn = {};
    o.box.reg_weights = {1, 2, 3};
    QVERIFY2(refusal(o).ends_with("found 3"), refusal(o).c_str());
  }
};

BATCHSCOPE_TEST(TestDetectorOptions)
#include "tst_detector_options.moc"
