#include "models/factory.h"
#include "models/resnet.h"
#include "models/weights/tensor_file.h"
#include "tests/support/detector_fixture.h"
#include "tests/support/test_program.h"

#include <torch/nn/module.h>

#include <QtTest>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <stdexcept>

using namespace batchscope;

namespace {

const std::vector<std::string>& names() {
  static const std::vector<std::string> kNames = {"fasterrcnn_resnet50_fpn",
                                                  "fasterrcnn_resnet50_fpn_v2",
                                                  "maskrcnn_resnet50_fpn",
                                                  "maskrcnn_resnet50_fpn_v2",
                                                  "retinanet_resnet50_fpn",
                                                  "retinanet_resnet50_fpn_v2"};
  return kNames;
}

void add_names() {
  QTest::addColumn<QString>("name");
  for (const std::string& name : names()) {
    QTest::newRow(name.c_str()) << QString::fromStdString(name);
  }
}

/// Lines "key 64x3x7x7" of torchvision's state_dict.
std::set<std::string> expected_keys(const std::string& name) {
  std::ifstream file(BATCHSCOPE_FIXTURES "/models/state_dicts/" + name + ".txt");
  std::set<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.insert(line);
  }
  return lines;
}

std::set<std::string> keys_of(const torch::nn::Module& model) {
  std::set<std::string> lines;
  for (const auto& [name, value] : testing::sorted_state(model)) {
    std::ostringstream line;
    line << name << ' ';
    for (std::int64_t i = 0; i < value.dim(); ++i) {
      line << (i > 0 ? "x" : "") << value.size(i);
    }
    lines.insert(line.str());
  }
  return lines;
}

std::string first_difference(const std::set<std::string>& a, const std::set<std::string>& b) {
  std::vector<std::string> only;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(only));
  return only.empty() ? "" : only.front();
}

}  // namespace

class TestDetectorNames : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void keys_and_shapes_are_torchvisions_data() { add_names(); }
  void keys_and_shapes_are_torchvisions() {
    QFETCH(QString, name);
    const auto expected = expected_keys(name.toStdString());
    QVERIFY(expected.size() > 300);
    const auto model =
        models::make_detector({.name = name.toStdString(), .norm = "bn", .num_classes = 90});
    const std::string off = first_difference(keys_of(*model), expected);
    QVERIFY2(off.empty(), off.c_str());
  }

  void frozen_norms_have_no_counters() {
    auto expected = expected_keys("fasterrcnn_resnet50_fpn");
    std::erase_if(expected, [](const std::string& line) {
      return line.find("num_batches_tracked") != std::string::npos;
    });
    const auto model = models::make_detector(
        {.name = "fasterrcnn_resnet50_fpn", .norm = "frozen", .num_classes = 90});
    QCOMPARE(first_difference(keys_of(*model), expected), std::string());
    QVERIFY(!model->named_parameters().contains("backbone.body.bn1.weight"));
  }

  void bodies_are_torchvisions_data() {
    QTest::addColumn<QString>("name");
    QTest::newRow("18") << "resnet18";
    QTest::newRow("101") << "resnet101";
  }
  void bodies_are_torchvisions() {
    QFETCH(QString, name);
    auto expected = expected_keys(name.toStdString());
    std::erase_if(expected, [](const std::string& line) { return line.starts_with("fc."); });
    const models::ResNet body(models::resnet_options(name.toStdString()));
    QCOMPARE(first_difference(keys_of(*body), expected), std::string());
  }

  void initial_weights_are_torchvisions_data() { add_names(); }
  void initial_weights_are_torchvisions() {
    QFETCH(QString, name);
    static const auto kValues =
        models::read_tensors(BATCHSCOPE_FIXTURES "/models/detectors.safetensors");
    const auto expected = kValues.at("initial." + name.toStdString());
    const auto model = models::make_detector(
        {.name = name.toStdString(), .norm = "bn", .num_classes = 5, .seed = 7});
    std::int64_t row = 0;
    for (const auto& [key, value] : testing::sorted_state(*model)) {
      if (!value.requires_grad()) {
        continue;
      }
      const auto flat = value.detach().flatten();
      const auto some = torch::stack({flat[0], flat[flat.numel() / 2], flat[-1]});
      QVERIFY2(torch::allclose(some, expected[row], 1e-5, 1e-7), key.c_str());
      ++row;
    }
    QCOMPARE(row, expected.size(0));
  }

  void groups_hold_every_trained_parameter_once_data() { add_names(); }
  void groups_hold_every_trained_parameter_once() {
    QFETCH(QString, name);
    const auto model =
        models::make_detector({.name = name.toStdString(), .norm = "bn", .pretrained = true});
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
    QVERIFY(!trained.contains("backbone.body.layer1.0.conv1.weight"));
    QVERIFY(trained.contains("backbone.body.layer2.0.conv1.weight"));
    std::vector<std::string> expected = {"backbone", "neck"};
    if (name.startsWith(QLatin1String("retinanet"))) {
      expected.emplace_back("bbox_head");
    } else {
      expected.insert(expected.end(), {"rpn_head", "roi_head"});
    }
    if (name.startsWith(QLatin1String("maskrcnn"))) {
      expected.emplace_back("mask_head");
    }
    QCOMPARE(groups, expected);
  }

  void mistakes_are_named() {
    const auto refused = [](models::ModelOptions options) {
      options.norm = "frozen";
      QVERIFY_THROWS_EXCEPTION(std::invalid_argument, models::make_detector(options));
    };
    refused({.name = "fasterrcnn_resnet50_fpn", .backbone = "resnet7"});
    refused({.name = "retinanet_resnet50_fpn", .num_classes = 0});
    refused({.name = "maskrcnn_resnet50_fpn", .backbone = "resnet18", .trainable_layers = 6});
    refused({.name = "tiny_retinanet", .backbone = "resnet18"});
    const auto model = models::make_detector({.name = "tiny_mask_rcnn"});
    const auto images = torch::zeros({1, 3, 64, 64});
    const models::Target target{
        torch::tensor({{1.0F, 2.0F, 30.0F, 40.0F}}), torch::ones({1}, torch::kInt64), {}};
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument,
                             model->losses(images, {{64, 64}}, {target}, testing::generator(1)));
  }
};

BATCHSCOPE_TEST(TestDetectorNames)
#include "tst_detector_names.moc"
