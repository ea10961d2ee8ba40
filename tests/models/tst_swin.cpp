#include "models/builders.h"
#include "models/swin.h"
#include "models/weights/tensor_file.h"
#include "tests/support/detector_fixture.h"
#include "tests/support/test_program.h"

#include <ATen/autocast_mode.h>
#include <torch/nn/module.h>
#include <torch/utils.h>

#include <QtTest>

#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

using namespace batchscope;

namespace {

const torch::Tensor& expected(const std::string& key) {
  static const auto kValues = models::read_tensors(BATCHSCOPE_FIXTURES "/models/swin.safetensors");
  return kValues.at(key);
}

/// Largest difference, relative to the largest expected magnitude.
double difference(const torch::Tensor& found, const torch::Tensor& wanted) {
  if (found.sizes() != wanted.sizes()) {
    return std::numeric_limits<double>::infinity();
  }
  const auto e = wanted.to(torch::kFloat64);
  return ((found.to(torch::kFloat64) - e).abs().max() / e.abs().max()).item<double>();
}

torch::Tensor some(const torch::Tensor& map) {
  using torch::indexing::Slice;
  const Slice third(torch::indexing::None, torch::indexing::None, 3);
  return map.index(
      {Slice(), Slice(torch::indexing::None, torch::indexing::None, 37), third, third});
}

/// Of every gradient the norm and three values, by name.
torch::Tensor gradients(const torch::nn::Module& model) {
  std::vector<torch::Tensor> rows;
  for (const auto& [name, value] : testing::sorted_state(model)) {
    if (value.requires_grad()) {
      const auto flat = value.grad().flatten();
      rows.push_back(torch::stack({flat.norm(), flat[0], flat[flat.numel() / 2], flat[-1]}));
    }
  }
  return torch::stack(rows);
}

/// Row by row: what is small beside other parameters' gradients counts too.
double worst_row(const torch::Tensor& found, const torch::Tensor& wanted) {
  double worst = found.sizes() == wanted.sizes() ? 0 : 1;
  for (std::int64_t row = 0; worst < 1 && row < found.size(0); ++row) {
    worst = std::max(worst, difference(found[row], wanted[row]));
  }
  return worst;
}

models::ModelOptions swin(const std::string& name) {
  return {.name = name, .backbone = "swin_t", .norm = "frozen", .num_classes = 5, .seed = 7};
}

std::shared_ptr<models::FasterRcnn> detector() {
  auto o =
      models::faster_rcnn_options(swin("fasterrcnn_resnet50_fpn"), models::HeadVersion::kV1, false);
  o.roi_heads.sampler.per_picture = 16;
  o.rpn.inference.after = 30;
  o.roi_heads.max_detections = 8;
  return std::make_shared<models::FasterRcnn>(o);
}

}  // namespace

/// swin_t against torchvision's, alone and below a detector.
class TestSwin : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void keys_and_shapes_are_torchvisions() {
    std::set<std::string> wanted, found;
    std::ifstream file(BATCHSCOPE_FIXTURES "/models/state_dicts/swin_t.txt");
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("features.")) {
        wanted.insert(line);
      }
    }
    const models::Swin body(models::SwinOptions{});
    for (const auto& [name, value] : testing::sorted_state(*body)) {
      std::ostringstream line;
      line << name << ' ';
      for (std::int64_t i = 0; i < value.dim(); ++i) {
        line << (i > 0 ? "x" : "") << value.size(i);
      }
      found.insert(line.str());
    }
    QVERIFY(wanted.size() > 150);
    QVERIFY(found == wanted);
  }

  /// 90x122 px: maps of 22x30, 11x15, 6x8 and 3x4, none of whole windows.
  void maps_and_gradients_are_torchvisions() {
    models::Swin body(models::SwinOptions{});
    body->to(torch::kFloat64);
    testing::fill_weights(*body);
    const auto images = torch::randn({2, 3, 90, 122}, testing::generator(51), torch::kFloat64);
    body->eval();
    {
      const torch::NoGradGuard no_grad;
      const auto maps = body->forward(images, testing::generator(11));
      QCOMPARE(maps.size(), std::size_t(4));
      for (std::size_t i = 0; i < maps.size(); ++i) {
        QVERIFY(difference(some(maps[i]), expected("body.map" + std::to_string(i))) < 1e-9);
      }
      body->train();
      QVERIFY(torch::equal(body->forward(images, {})[3], maps[3]));  // nothing to draw from
    }
    torch::Tensor total;
    const auto maps = body->forward(images, testing::generator(11));
    for (std::size_t i = 0; i < maps.size(); ++i) {
      QVERIFY(difference(some(maps[i]), expected("body.dropped" + std::to_string(i))) < 1e-9);
      const auto probe = torch::randn(maps[i].sizes(), testing::generator(70 + i), torch::kFloat64);
      const auto part = (maps[i] * probe).sum();
      total = total.defined() ? total + part : part;
    }
    QVERIFY(difference(some(maps[3]), expected("body.map3")) > 1e-3);
    total.backward();
    const double off = worst_row(gradients(*body), expected("body.gradients"));
    QVERIFY2(off < 1e-8, qPrintable(QString::number(off)));
  }

  void initial_weights_are_torchvisions() {
    const auto model = detector();
    std::int64_t row = 0;
    for (const auto& [key, value] : testing::sorted_state(*model)) {
      if (value.requires_grad()) {
        const auto flat = value.detach().flatten();
        const auto three = torch::stack({flat[0], flat[flat.numel() / 2], flat[-1]});
        QVERIFY2(torch::allclose(three, expected("initial")[row], 1e-5, 1e-7), key.c_str());
        ++row;
      }
    }
    QCOMPARE(row, expected("initial").size(0));
  }

  void a_detector_on_it_is_torchvisions() {
    const auto model = detector();
    model->to(torch::kFloat64);
    testing::fill_weights(*model);
    const auto batch = testing::make_batch(31);
    model->eval();
    const auto found = model->detect(batch.images, batch.sizes);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::string at = "found" + std::to_string(i) + ".";
      QVERIFY(expected(at + "labels").numel() > 0);
      QVERIFY(torch::equal(found[i].labels, expected(at + "labels")));
      QVERIFY((found[i].boxes - expected(at + "boxes")).abs().max().item<double>() < 1e-3);
      QVERIFY((found[i].scores - expected(at + "scores")).abs().max().item<double>() < 1e-6);
    }
    model->train();
    const auto losses =
        model->losses(batch.images, batch.sizes, batch.targets, testing::generator(23));
    for (const auto& [name, loss] : losses) {
      QVERIFY2(difference(loss, expected(name)) < 1e-9, name.c_str());
    }
    testing::total(losses).backward();
    const double off = worst_row(gradients(*model), expected("gradients"));
    QVERIFY2(off < 1e-7, qPrintable(QString::number(off)));
  }

  /// Autocast rounds products to 8 bits of mantissa; gradients stay in the weights' type.
  void bf16_follows_float32() {
    models::Swin body(models::SwinOptions{});
    auto weights = testing::generator(7);
    body->initialise(weights);
    const auto images = torch::randn({1, 3, 90, 122}, testing::generator(51));
    const auto pass = [&](bool half) {
      body->zero_grad();
      at::autocast::set_autocast_dtype(torch::kCPU, torch::kBFloat16);
      at::autocast::set_autocast_enabled(torch::kCPU, half);
      const auto map = body->forward(images, testing::generator(11)).back();
      at::autocast::set_autocast_enabled(torch::kCPU, false);
      at::autocast::clear_cache();
      const auto probe = torch::randn(map.sizes(), testing::generator(73));
      (map.to(torch::kFloat32) * probe).sum().backward();
      std::vector<torch::Tensor> parts;
      for (const auto& p : body->parameters()) {
        parts.push_back(p.grad().flatten());
      }
      return torch::cat(parts);
    };
    const auto full = pass(false), rounded = pass(true);
    QCOMPARE(rounded.scalar_type(), torch::kFloat32);
    QVERIFY(!torch::equal(full, rounded));
    const double cosine = torch::cosine_similarity(full, rounded, 0).item<double>();
    QVERIFY2(cosine > 0.98, qPrintable(QString::number(cosine)));
  }

  /// The stem and the stages are frozen from the picture on.
  void layers_train_from_the_last() {
    const std::vector<std::string> order = {"features.7.1.norm1.bias",
                                            "features.5.0.attn.qkv.weight",
                                            "features.2.reduction.weight",
                                            "features.1.0.mlp.3.bias",
                                            "features.0.0.weight"};
    models::Swin body(models::SwinOptions{});
    for (std::int64_t count = 0; count <= 5; ++count) {
      body->train_layers(count);
      const auto parameters = body->named_parameters();
      for (std::size_t i = 0; i < order.size(); ++i) {
        QCOMPARE(parameters[order[i]].requires_grad(), static_cast<std::int64_t>(i) < count);
      }
    }
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, body->train_layers(6));
  }

  void every_builder_takes_it_data() {
    QTest::addColumn<QString>("name");
    for (const char* name : {"maskrcnn_resnet50_fpn_v2",
                             "retinanet_resnet50_fpn",
                             "retinanet_resnet50_fpn_v2",
                             "semantic_fpn_resnet50",
                             "panoptic_fpn_resnet50"}) {
      QTest::newRow(name) << name;
    }
  }
  void every_builder_takes_it() {
    QFETCH(QString, name);
    auto options = swin(name.toStdString());
    options.stuff_classes = 2;
    if (name.startsWith(QLatin1String("mask")) || name.startsWith(QLatin1String("panoptic"))) {
      options.box.batch_size_per_image = 32;  // regions cost the most, and are not what is asked
    }
    const auto model = models::make_detector(options);
    auto batch = testing::make_batch(31);
    const auto images = batch.images.to(torch::kFloat32);
    for (std::size_t i = 0; i < 2; ++i) {
      batch.targets[i].semantic =
          torch::ones({batch.sizes[i].first, batch.sizes[i].second}, torch::kInt16);
    }
    const auto run = [&](std::uint64_t seed) {
      const torch::NoGradGuard no_grad;
      return testing::total(
                 model->losses(images, batch.sizes, batch.targets, testing::generator(seed)))
          .item<double>();
    };
    const double first = run(1);
    QVERIFY(std::isfinite(first));
    QCOMPARE(run(1), first);
    QVERIFY(run(2) != first);  // other branches are left out
    QCOMPARE(model->module_groups()[0].name, std::string("backbone"));
    QCOMPARE(model->module_groups()[0].parameters.size(), std::size_t(169));
  }
};

BATCHSCOPE_TEST(TestSwin)
#include "tst_swin.moc"
