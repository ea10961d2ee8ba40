#include "models/factory.h"
#include "models/weights/tensor_file.h"
#include "tests/support/test_program.h"

#include <torch/autograd.h>
#include <torch/optim.h>
#include <torch/utils.h>

#include <QtTest>

#include <algorithm>
#include <set>
#include <stdexcept>

using namespace batchscope;

namespace {

const std::map<std::string, torch::Tensor>& fixture() {
  static const auto kValues =
      models::read_tensors(BATCHSCOPE_FIXTURES "/models/torchvision.safetensors");
  return kValues;
}

torch::Generator generator(std::uint64_t seed) {
  return at::detail::createCPUGenerator(seed);
}

std::vector<std::string> sorted_names(const models::Detector& model) {
  std::vector<std::string> names = model.named_parameters().keys();
  std::sort(names.begin(), names.end());
  return names;
}

/// Parameter i of the sorted names as the fixture's script fills it.
void fill(models::Detector& model) {
  const torch::NoGradGuard no_grad;
  auto parameters = model.named_parameters();
  const auto names = sorted_names(model);
  for (std::size_t i = 0; i < names.size(); ++i) {
    torch::Tensor& p = parameters[names[i]];
    const auto draw = torch::randn(p.sizes(), generator(100 + i), torch::kFloat64);
    const bool norm_weight = p.dim() == 1 && names[i].ends_with("weight");
    p.copy_(p.dim() > 1 ? draw / std::sqrt(static_cast<double>(p[0].numel()))
                        : draw * 0.1 + (norm_weight ? 1.0 : 0.0));
  }
}

struct Batch {
  torch::Tensor images;
  std::vector<std::pair<std::int64_t, std::int64_t>> sizes;
  std::vector<models::Target> targets;
};

Batch fixture_batch() {
  const auto& v = fixture();
  return {torch::randn({2, 3, 96, 128}, generator(31), torch::kFloat64),
          {{96, 120}, {90, 128}},
          {{v.at("detector.boxes0"), v.at("detector.labels0"), {}},
           {v.at("detector.boxes1"), v.at("detector.labels1"), {}}}};
}

models::Losses run(models::Detector& model, const Batch& batch, std::uint64_t seed) {
  return model.losses(batch.images, batch.sizes, batch.targets, generator(seed));
}

torch::Tensor total(const models::Losses& losses) {
  torch::Tensor sum = losses[0].second;
  for (std::size_t i = 1; i < losses.size(); ++i) {
    sum = sum + losses[i].second;
  }
  return sum;
}

std::shared_ptr<models::Detector> tiny(const std::string& norm = "gn",
                                       std::int64_t trainable_layers = -1) {
  return models::make_detector(
      {.name = "tiny_faster_rcnn", .norm = norm, .trainable_layers = trainable_layers});
}

}  // namespace

class TestFasterRcnn : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void losses_and_gradients_are_torchvisions() {
    const auto model = tiny();
    model->to(torch::kFloat64);
    fill(*model);
    const auto losses = run(*model, fixture_batch(), 23);
    for (const auto& [name, loss] : losses) {
      const double expected = fixture().at("detector." + name).item<double>();
      QVERIFY2(std::abs(loss.item<double>() - expected) <= 1e-10 * expected,
               qPrintable(QStringLiteral("%1: %2, expected %3")
                              .arg(QString::fromStdString(name))
                              .arg(loss.item<double>(), 0, 'g', 12)
                              .arg(expected, 0, 'g', 12)));
    }
    total(losses).backward();
    const auto parameters = model->named_parameters();
    const auto names = sorted_names(*model);
    QCOMPARE(static_cast<std::int64_t>(names.size()), fixture().at("detector.grad_norm").numel());
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto gradient = parameters[names[i]].grad();
      const auto index = static_cast<std::int64_t>(i);
      const double norm = fixture().at("detector.grad_norm")[index].item<double>();
      const double dot = fixture().at("detector.grad_dot")[index].item<double>();
      const auto probe = torch::randn(gradient.sizes(), generator(500 + i), torch::kFloat64);
      QVERIFY2(std::abs(gradient.norm().item<double>() - norm) <= 1e-9 * norm, names[i].c_str());
      QVERIFY2(std::abs((gradient * probe).sum().item<double>() - dot) <=
                   1e-9 * norm * std::sqrt(static_cast<double>(gradient.numel())),
               names[i].c_str());
    }
  }

  void detections_are_torchvisions() {
    const auto model = tiny();
    model->to(torch::kFloat64);
    fill(*model);
    model->eval();
    const auto batch = fixture_batch();
    const auto found = model->detect(batch.images, batch.sizes);
    QCOMPARE(found.size(), std::size_t(2));
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::string key = "detector.found" + std::to_string(i) + ".";
      QVERIFY(torch::equal(found[i].labels, fixture().at(key + "labels")));
      QVERIFY(torch::allclose(
          found[i].boxes, fixture().at(key + "boxes").to(torch::kFloat32), 1e-5, 1e-4));
      QVERIFY(torch::allclose(
          found[i].scores, fixture().at(key + "scores").to(torch::kFloat32), 1e-5, 1e-6));
    }
  }

  void names_are_torchvisions() {
    const auto parameters = tiny("bn")->named_parameters();
    for (const char* name : {"backbone.body.conv1.weight",
                             "backbone.body.bn1.bias",
                             "backbone.body.layer1.0.conv2.weight",
                             "backbone.body.layer2.0.downsample.0.weight",
                             "backbone.body.layer2.0.downsample.1.weight",
                             "backbone.fpn.inner_blocks.0.0.weight",
                             "backbone.fpn.layer_blocks.3.0.bias",
                             "rpn.head.conv.0.0.weight",
                             "rpn.head.cls_logits.bias",
                             "rpn.head.bbox_pred.weight",
                             "roi_heads.box_head.fc6.weight",
                             "roi_heads.box_head.fc7.bias",
                             "roi_heads.box_predictor.cls_score.weight",
                             "roi_heads.box_predictor.bbox_pred.bias"}) {
      QVERIFY2(parameters.contains(name), name);
    }
    const auto buffers = tiny("bn")->named_buffers();
    QVERIFY(buffers.contains("backbone.body.bn1.running_mean"));
    QVERIFY(buffers.contains("backbone.body.bn1.num_batches_tracked"));
    QVERIFY(tiny("frozen")->named_buffers().contains("backbone.body.bn1.weight"));
    QVERIFY(!tiny("frozen")->named_parameters().contains("backbone.body.bn1.weight"));
  }

  void groups_hold_every_trainable_parameter_once_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("norm");
    QTest::addColumn<int>("layers");
    for (const std::string& name : models::detector_names()) {
      if (!name.starts_with("tiny_") && !name.starts_with("lab_")) {
        continue;  // tst_detector_names has the large ones
      }
      if (models::target_needs(name).semantic) {
        continue;  // tst_semantic_fpn has those with stuff
      }
      for (const char* norm : {"gn", "frozen", "bn"}) {
        for (const int layers : {-1, 5, 3, 0}) {
          QTest::addRow("%s %s %d", name.c_str(), norm, layers)
              << QString::fromStdString(name) << QString::fromLatin1(norm) << layers;
        }
      }
    }
  }
  void groups_hold_every_trainable_parameter_once() {
    QFETCH(QString, name);
    QFETCH(QString, norm);
    QFETCH(int, layers);
    if (name == QLatin1String("lab_faster_rcnn") && (norm != QLatin1String("gn") || layers != -1)) {
      QVERIFY_THROWS_EXCEPTION(std::invalid_argument,
                               models::make_detector({.name = name.toStdString(),
                                                      .norm = norm.toStdString(),
                                                      .trainable_layers = layers}));
      return;
    }
    const auto model = models::make_detector(
        {.name = name.toStdString(), .norm = norm.toStdString(), .trainable_layers = layers});
    std::multiset<std::string> grouped;
    std::int64_t numbers = 0;
    const auto groups = model->module_groups();
    for (const auto& group : groups) {
      QCOMPARE(group.parameters.size(), group.parameter_names.size());
      grouped.insert(group.parameter_names.begin(), group.parameter_names.end());
      for (const auto& parameter : group.parameters) {
        QVERIFY(parameter.requires_grad());
        numbers += parameter.numel();
      }
    }
    std::multiset<std::string> trained;
    std::int64_t all = 0;
    for (const auto& item : model->named_parameters()) {
      all += item.value().numel();
      if (item.value().requires_grad()) {
        trained.insert(item.key());
      }
    }
    QCOMPARE(grouped, trained);
    QVERIFY(all < 2'000'000);
    QCOMPARE(numbers == all, layers == -1 || layers == 5);
    const std::size_t parts = name.contains(QLatin1String("retinanet")) ? 3
                              : name.contains(QLatin1String("mask"))    ? 5
                                                                        : 4;
    QCOMPARE(groups.size(), layers == 0 ? parts - 1 : parts);
    QCOMPARE(groups[0].name, std::string(layers == 0 ? "neck" : "backbone"));
  }

  void same_generator_same_losses_and_gradients() {
    const auto model = tiny();
    auto batch = fixture_batch();
    batch.images = batch.images.to(torch::kFloat32);
    const auto gradients = [&](std::uint64_t seed) {
      return torch::autograd::grad({total(run(*model, batch, seed))}, model->parameters());
    };
    const auto first = gradients(5), second = gradients(5), other = gradients(6);
    bool differs = false;
    for (std::size_t i = 0; i < first.size(); ++i) {
      QVERIFY(torch::equal(first[i], second[i]));
      differs = differs || !torch::equal(first[i], other[i]);
    }
    QVERIFY(differs);
  }

  void initial_weights_are_a_function_of_the_seed() {
    torch::manual_seed(3);
    const auto expected = torch::rand({4});
    torch::manual_seed(3);
    const auto first = tiny();
    QVERIFY(torch::equal(torch::rand({4}), expected));
    const auto second = tiny();
    const auto other = models::make_detector({.name = "tiny_faster_rcnn", .seed = 1});
    bool differs = false;
    for (const auto& item : first->named_parameters()) {
      QVERIFY(torch::equal(item.value(), second->named_parameters()[item.key()]));
      differs = differs || !torch::equal(item.value(), other->named_parameters()[item.key()]);
    }
    QVERIFY(differs);
  }

  void pictures_without_boxes_teach_background() {
    const auto model = tiny("frozen");
    auto batch = fixture_batch();
    batch.images = batch.images.to(torch::kFloat32);
    for (auto& target : batch.targets) {
      target = {torch::empty({0, 4}), torch::empty({0}, torch::kInt64), {}};
    }
    const auto losses = run(*model, batch, 1);
    for (const auto& [name, loss] : losses) {
      const bool box = name == "loss_rpn_box_reg" || name == "loss_box_reg";
      QCOMPARE(loss.item<double>() == 0, box);
      QVERIFY(std::isfinite(loss.item<double>()));
    }
    total(losses).backward();
    for (const auto& p : model->parameters()) {
      QVERIFY(p.grad().isfinite().all().item<bool>());
    }
  }

  void a_few_steps_find_a_bright_square() {
    const auto model = models::make_detector({.name = "tiny_faster_rcnn", .num_classes = 1});
    auto noise = generator(2);
    const auto images = torch::randn({2, 3, 96, 96}, noise) * 0.1;
    Batch batch{images, {{96, 96}, {96, 96}}, {}};
    const std::vector<std::array<std::int64_t, 2>> corners = {{20, 30}, {48, 8}};
    for (std::int64_t i = 0; i < 2; ++i) {
      const auto [x, y] = corners[static_cast<std::size_t>(i)];
      images[i].slice(1, y, y + 32).slice(2, x, x + 32).add_(3);
      batch.targets.push_back({torch::tensor({{x, y, x + 32, y + 32}}, torch::kFloat32),
                               torch::ones({1}, torch::kInt64),
                               {}});
    }
    torch::optim::SGD optimizer(model->parameters(), torch::optim::SGDOptions(0.004).momentum(0.9));
    for (std::uint64_t step = 0; step < 120; ++step) {
      optimizer.zero_grad();
      total(run(*model, batch, step)).backward();
      optimizer.step();
    }
    model->eval();
    const auto found = model->detect(batch.images, batch.sizes);
    for (std::size_t i = 0; i < 2; ++i) {
      QVERIFY(found[i].boxes.size(0) > 0);
      QVERIFY(found[i].scores[0].item<float>() > 0.5F);
      QVERIFY((found[i].boxes[0] - batch.targets[i].boxes[0]).abs().max().item<float>() < 6);
    }
  }

  void mistakes_are_named() {
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, tiny("layer"));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, tiny("gn", 6));
    const auto model = tiny();
    auto batch = fixture_batch();
    batch.images = batch.images.to(torch::kFloat32);
    batch.targets[0].labels = batch.targets[0].labels + 1;
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, run(*model, batch, 1));
    batch.images = torch::zeros({2, 3, 90, 128});
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, model->detect(batch.images, batch.sizes));
  }
};

BATCHSCOPE_TEST(TestFasterRcnn)
#include "tst_faster_rcnn.moc"
