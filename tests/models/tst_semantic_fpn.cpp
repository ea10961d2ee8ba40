#include "models/semantic_head.h"
#include "models/upsampled_loss.h"
#include "models/weights/tensor_file.h"
#include "tests/support/shapes_batch.h"
#include "tests/support/test_program.h"

#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <QtTest>

#include <set>
#include <stdexcept>

using namespace batchscope;

namespace {

constexpr std::int64_t kThings = 3, kStuff = 4;  // of the fixture

const torch::Tensor& expected(const std::string& key) {
  static const auto kValues =
      models::read_tensors(BATCHSCOPE_FIXTURES "/models/semantic.safetensors");
  return kValues.at(key);
}

double difference(const torch::Tensor& found, const torch::Tensor& wanted) {
  return found.sizes() == wanted.sizes()
             ? ((found - wanted).abs().max() / wanted.abs().max()).item<double>()
             : std::numeric_limits<double>::infinity();
}

models::Target labels_of(std::int64_t height, std::int64_t width) {
  const auto y = torch::arange(height).view({-1, 1}), x = torch::arange(width).view({1, -1});
  const auto labels = (y.floor_divide(5) + 2 * x.floor_divide(7)).remainder(kThings + kStuff + 1);
  return {.semantic = labels.to(torch::kInt16)};
}

models::ModelOptions shapes(const std::string& name) {
  return {
      .name = name, .num_classes = testing::kShapeThings, .stuff_classes = testing::kShapeStuff};
}

/// The sentence that a micro-batch is refused with; empty: it was taken.
std::string refusal(const std::string& name, const testing::DetectorBatch& batch) {
  const auto model = models::make_detector(shapes(name));
  try {
    model->losses(batch.images, batch.sizes, batch.targets, testing::generator(1));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace

class TestSemanticFpn : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void the_head_is_the_papers_data() {
    QTest::addColumn<QString>("key");
    QTest::addColumn<int>("classes");
    QTest::addColumn<int>("merged");
    QTest::addColumn<double>("weight");
    QTest::newRow("all classes alike") << "all." << 7 << 1 << 1.0;
    QTest::newRow("things as one") << "stuff." << 5 << 3 << 0.5;
  }
  void the_head_is_the_papers() {
    QFETCH(QString, key);
    QFETCH(int, classes);
    QFETCH(int, merged);
    QFETCH(double, weight);
    const std::string at = key.toStdString();
    models::SemanticHead head(16,
                              4,
                              models::SemanticHeadOptions{.num_classes = classes,
                                                          .labels_of_class_0 = merged,
                                                          .channels = 24,
                                                          .loss_weight = weight});
    head->to(torch::kFloat64);
    testing::fill_weights(*head);
    std::vector<torch::Tensor> features;
    for (std::int64_t level = 0; level < 4; ++level) {
      features.push_back(torch::randn({2, 16, 16 >> level, 24 >> level},
                                      testing::generator(60 + static_cast<std::uint64_t>(level)),
                                      torch::kFloat64)
                             .requires_grad_());
    }
    const auto logits = head->forward(features);
    using torch::indexing::Slice;
    const Slice fifth(torch::indexing::None, torch::indexing::None, 5);
    QVERIFY(difference(models::enlarge(logits, 4).index({Slice(), Slice(), fifth, fifth}),
                       expected(at + "logits")) < 1e-10);
    const auto loss = head->loss(logits, {labels_of(64, 96), labels_of(57, 80)});
    QVERIFY(difference(loss, expected(at + "loss")) < 1e-10);
    loss.backward();
    std::vector<torch::Tensor> rows;
    for (const auto& [name, value] : testing::sorted_state(*head)) {
      const auto flat = value.grad().flatten();
      rows.push_back(torch::stack({flat.norm(), flat[0], flat[flat.numel() / 2], flat[-1]}));
    }
    QVERIFY(difference(torch::stack(rows), expected(at + "gradients")) < 1e-10);
    for (std::size_t level = 0; level < 4; ++level) {
      QVERIFY(difference(features[level].grad().index({Slice(), fifth}),
                         expected(at + "feature" + std::to_string(level))) < 1e-10);
    }
  }

  /// Against torch's own operators on the whole; the sizes cut a picture into several strips.
  void strips_add_up_to_the_whole() {
    auto logits = 3 * torch::randn({2, 90, 21, 70}, testing::generator(5), torch::kFloat64);
    logits = logits.contiguous(torch::MemoryFormat::ChannelsLast).requires_grad_();
    auto labels = torch::randint(90, {2, 84, 280}, testing::generator(6), torch::kInt64);
    labels.index_put_({labels.remainder(7) == 3}, -100);
    const auto sum = models::upsampled_cross_entropy_sum(logits, labels, 4, -100);
    const auto whole =
        at::cross_entropy_loss(models::enlarge(logits, 4), labels, {}, at::Reduction::Sum, -100);
    QVERIFY(difference(sum, whole) < 1e-12);
    const auto found = torch::autograd::grad({sum * 0.5}, {logits})[0];
    QVERIFY(difference(found, torch::autograd::grad({whole * 0.5}, {logits})[0]) < 1e-12);
    const torch::NoGradGuard without;
    QVERIFY(difference(models::upsampled_cross_entropy_sum(logits, labels, 4, -100), whole) <
            1e-12);
    QVERIFY_THROWS_EXCEPTION(
        c10::Error, models::upsampled_cross_entropy_sum(logits, labels.slice(1, 1), 4, -100));
  }

  void nothing_labelled_teaches_nothing() {
    const auto model = models::make_detector(shapes("tiny_semantic_fpn"));
    auto batch = testing::make_shapes();
    for (auto& target : batch.targets) {
      target.semantic.zero_();
    }
    const auto losses =
        model->losses(batch.images, batch.sizes, batch.targets, testing::generator(1));
    QCOMPARE(losses.size(), std::size_t(1));
    QCOMPARE(losses[0].first, model->loss_names()[0]);
    QCOMPARE(losses[0].second.item<double>(), 0.0);
    losses[0].second.backward();
    for (const auto& p : model->parameters()) {
      QVERIFY(p.grad().defined() && p.grad().eq(0).all().item<bool>());
    }
  }

  void a_few_steps_label_the_pixels() {
    const auto model = models::make_detector(shapes("tiny_semantic_fpn"));
    const auto batch = testing::make_shapes();
    testing::fit(*model, batch, 120);
    const auto found = model->detect(batch.images, batch.sizes);
    QCOMPARE(found.size(), std::size_t(2));
    for (std::size_t i = 0; i < found.size(); ++i) {
      const auto& truth = batch.targets[i].semantic;
      QCOMPARE(found[i].semantic.sizes(), truth.sizes());
      QCOMPARE(found[i].semantic.scalar_type(), torch::kInt16);
      QVERIFY(found[i].semantic.min().item<int>() >= 1 && found[i].semantic.max().item<int>() <= 4);
      for (int label = 1; label <= 4; ++label) {
        const auto a = truth == label, b = (found[i].semantic == label) & (truth != 0);
        const double iou =
            (a & b).sum().item<double>() / std::max(1.0, (a | b).sum().item<double>());
        QVERIFY2(iou > 0.85, qPrintable(QStringLiteral("label %1: %2").arg(label).arg(iou)));
      }
      QCOMPARE(found[i].boxes.sizes().vec(), (std::vector<std::int64_t>{0, 4}));
      QCOMPARE(found[i].labels.scalar_type(), torch::kInt64);
      QCOMPARE(found[i].labels.numel() + found[i].scores.numel(), std::int64_t(0));
      QVERIFY(!found[i].segments.defined() && !found[i].mask_probabilities.defined());
    }
  }

  void one_kind_of_classes_suffices() {
    for (const auto& [things, stuff] : {std::pair{4, 0}, std::pair{0, 4}}) {
      const auto model = models::make_detector(
          {.name = "tiny_semantic_fpn", .num_classes = things, .stuff_classes = stuff});
      const auto batch = testing::make_shapes();
      std::vector<models::Target> targets;
      for (const auto& target : batch.targets) {
        targets.push_back({.semantic = target.semantic});  // without boxes
      }
      const auto losses = model->losses(batch.images, batch.sizes, targets, testing::generator(1));
      QVERIFY(losses[0].second.item<double>() > 0.5);
    }
  }

  void groups_hold_every_trained_parameter_once_data() {
    QTest::addColumn<QString>("name");
    for (const std::string& name : models::detector_names()) {
      if (models::target_needs(name).semantic) {
        QTest::newRow(name.c_str()) << QString::fromStdString(name);
      }
    }
  }
  void groups_hold_every_trained_parameter_once() {
    QFETCH(QString, name);
    auto options = shapes(name.toStdString());
    options.trainable_layers = 3;
    const auto model = models::make_detector(options);
    std::multiset<std::string> grouped, trained;
    std::vector<std::string> groups;
    for (const auto& group : model->module_groups()) {
      groups.push_back(group.name);
      grouped.insert(group.parameter_names.begin(), group.parameter_names.end());
    }
    for (const auto& item : model->named_parameters()) {
      if (item.value().requires_grad()) {
        trained.insert(item.key());
      }
    }
    QCOMPARE(grouped, trained);
    QVERIFY(trained.size() < model->named_parameters().size());
    std::vector<std::string> wanted = {"backbone", "neck", "decode_head"};
    if (name.contains(QLatin1String("panoptic"))) {
      wanted = {"backbone", "neck", "rpn_head", "roi_head", "mask_head", "semantic_head"};
    }
    QCOMPARE(groups, wanted);
    QVERIFY(trained.contains("semantic_head.levels.3.2.0.weight"));
    QVERIFY(trained.contains("semantic_head.predictor.bias"));
  }

  void what_the_targets_need_is_said() {
    const auto semantic = models::target_needs("semantic_fpn_resnet50");
    QVERIFY(semantic.semantic && !semantic.boxes && !semantic.masks);
    const auto panoptic = models::target_needs("tiny_panoptic_fpn");
    QVERIFY(panoptic.semantic && panoptic.boxes && panoptic.masks);
  }

  void mistakes_are_named_data() {
    QTest::addColumn<QString>("name");
    QTest::newRow("semantic") << "tiny_semantic_fpn";
    QTest::newRow("panoptic") << "tiny_panoptic_fpn";
  }
  void mistakes_are_named() {
    QFETCH(QString, name);
    const std::string model = name.toStdString();
    const auto broken = [&](auto change) {
      auto batch = testing::make_shapes();
      change(batch.targets[1].semantic);
      return refusal(model, batch);
    };
    const auto said = [&](const std::string& text, const std::string& part) {
      return text.starts_with(model + ": ") && text.find(part) != std::string::npos;
    };
    QCOMPARE(refusal(model, testing::make_shapes()), std::string());
    auto text = broken([](auto& labels) { labels = torch::Tensor(); });
    QVERIFY2(said(text, "semantic [96, 80] as its picture, found none"), text.c_str());
    text = broken([](auto& labels) { labels = labels.narrow(1, 0, 79); });
    QVERIFY2(said(text, "found [96, 79]"), text.c_str());
    text = broken([](auto& labels) { labels[3][4] = 5; });
    QVERIFY2(said(text, "labels of pixels 0…4, found 5"), text.c_str());
    text = broken([](auto& labels) { labels[3][4] = -1; });
    QVERIFY2(said(text, "found -1"), text.c_str());
    text = broken([](auto& labels) { labels = labels.to(torch::kFloat32); });
    QVERIFY2(said(text, "whole numbers, found Float"), text.c_str());
    auto options = shapes(model);
    options.num_classes = options.stuff_classes = 0;
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, models::make_detector(options));
  }

  void things_without_stuff_are_not_panoptic() {
    auto options = shapes("tiny_panoptic_fpn");
    options.stuff_classes = 0;
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, models::make_detector(options));
  }
};

BATCHSCOPE_TEST(TestSemanticFpn)
#include "tst_semantic_fpn.moc"
