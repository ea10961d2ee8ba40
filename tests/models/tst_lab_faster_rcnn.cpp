#include "models/factory.h"
#include "models/weights/tensor_file.h"
#include "tests/support/test_program.h"

#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <QtTest>

#include <algorithm>
#include <stdexcept>

using namespace batchscope;

namespace {

std::map<std::string, torch::Tensor> fixture() {
  return models::read_tensors(BATCHSCOPE_FIXTURES "/models/lab.safetensors");
}

void load(models::Detector& model,
          const std::map<std::string, torch::Tensor>& values,
          const std::string& prefix) {
  const torch::NoGradGuard no_grad;
  for (auto& item : model.named_parameters()) {
    item.value().copy_(values.at(prefix + item.key()));
  }
}

struct Batch {
  torch::Tensor images;
  std::vector<std::pair<std::int64_t, std::int64_t>> sizes;
  std::vector<models::Target> targets;

  Batch part(std::int64_t first, std::int64_t count) const {
    return {images.narrow(0, first, count),
            {sizes.begin() + first, sizes.begin() + first + count},
            {targets.begin() + first, targets.begin() + first + count}};
  }
};

Batch fixture_batch(const std::map<std::string, torch::Tensor>& values) {
  Batch batch{values.at("image"), {}, {}};
  for (std::int64_t i = 0; i < batch.images.size(0); ++i) {
    const torch::Tensor labels = values.at("labels")[i];
    const torch::Tensor used = (labels >= 0).nonzero().view(-1);
    batch.sizes.emplace_back(32, 32);
    batch.targets.push_back(
        {values.at("boxes")[i].index_select(0, used), labels.index_select(0, used) + 1, {}});
  }
  return batch;
}

torch::Generator generator(std::uint64_t seed) {
  return at::detail::createCPUGenerator(seed);
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

double largest_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

}  // namespace

class TestLabFasterRcnn : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initial_weights_are_the_scripts() {
    const auto values = fixture();
    const auto model = models::make_detector({.name = "lab_faster_rcnn", .seed = 0});
    const auto initial = [](const auto& entry) { return entry.first.rfind("init.", 0) == 0; };
    QCOMPARE(model->named_parameters().size(),
             static_cast<std::size_t>(std::count_if(values.begin(), values.end(), initial)));
    for (const auto& item : model->named_parameters()) {
      QVERIFY2(torch::equal(item.value(), values.at("init." + item.key())), item.key().c_str());
    }
    const auto other = models::make_detector({.name = "lab_faster_rcnn", .seed = 1});
    QVERIFY(!torch::equal(other->parameters()[0], model->parameters()[0]));
  }

  void building_leaves_the_global_generator_alone() {
    torch::manual_seed(3);
    const torch::Tensor expected = torch::rand({4});
    torch::manual_seed(3);
    models::make_detector({.name = "lab_faster_rcnn"});
    QVERIFY(torch::equal(torch::rand({4}), expected));
  }

  void losses_and_gradients_are_the_scripts() {
    const auto values = fixture();
    const auto model = models::make_detector({.name = "lab_faster_rcnn"});
    load(*model, values, "late.");
    const auto losses = run(*model, fixture_batch(values), 11);
    const std::vector<std::string> names = {"objectness", "rpn_box_reg", "classifier", "box_reg"};
    for (std::size_t i = 0; i < names.size(); ++i) {
      const double expected = values.at("loss." + names[i]).item<double>();
      QCOMPARE(losses[i].first, "loss_" + names[i]);
      QVERIFY2(std::abs(losses[i].second.item<double>() - expected) <= 1e-6 + 1e-5 * expected,
               names[i].c_str());
    }
    total(losses).backward();
    for (const auto& item : model->named_parameters()) {
      const torch::Tensor expected = values.at("grad." + item.key());
      const double bound = 1e-5 * expected.abs().max().item<double>();
      const double difference = largest_difference(item.value().grad(), expected);
      QVERIFY2(difference <= bound,
               (item.key() + " " + std::to_string(difference / bound * 1e-5)).c_str());
    }
  }

  void losses_scale_their_own_gradients() {
    const auto values = fixture();
    const auto model = models::make_detector({.name = "lab_faster_rcnn"});
    load(*model, values, "late.");
    const auto batch = fixture_batch(values);
    std::vector<torch::Tensor> single;
    const std::vector<double> weights = {0.5, 2, 3, 0.25};
    auto losses = run(*model, batch, 11);
    torch::Tensor sum = losses[0].second * weights[0];
    for (std::size_t i = 1; i < 4; ++i) {
      sum = sum + losses[i].second * weights[i];
    }
    const auto weighted = torch::autograd::grad({sum}, model->parameters());
    for (const auto& gradient : weighted) {
      single.push_back(torch::zeros_like(gradient));
    }
    for (std::size_t i = 0; i < 4; ++i) {
      losses = run(*model, batch, 11);
      const auto part = torch::autograd::grad({losses[i].second},
                                              model->parameters(),
                                              {},
                                              {},
                                              false,
                                              /*allow_unused=*/true);
      for (std::size_t k = 0; k < part.size(); ++k) {
        if (part[k].defined()) {
          single[k].add_(part[k], weights[i]);
        }
      }
    }
    for (std::size_t k = 0; k < single.size(); ++k) {
      QVERIFY(largest_difference(single[k], weighted[k]) <=
              1e-5 * weighted[k].abs().max().item<double>());
    }
  }

  void gradients_agree_with_finite_differences_in_float64() {
    const auto values = fixture();
    const auto model = models::make_detector({.name = "lab_faster_rcnn"});
    load(*model, values, "late.");
    model->to(torch::kFloat64);
    auto batch = fixture_batch(values).part(0, 3);
    batch.images = batch.images.to(torch::kFloat64);
    total(run(*model, batch, 4)).backward();
    for (auto& item : model->named_parameters()) {
      const torch::Tensor gradient = item.value().grad();
      const torch::Tensor direction =
          torch::randn(gradient.sizes(), generator(9), torch::kFloat64) * 1e-7;
      // The regions move with the first stage's weights, which no gradient sees.
      if (item.key().rfind("roi_head.", 0) != 0) {
        continue;
      }
      const torch::NoGradGuard no_grad;
      item.value().add_(direction);
      const double above = total(run(*model, batch, 4)).item<double>();
      item.value().sub_(direction * 2);
      const double below = total(run(*model, batch, 4)).item<double>();
      item.value().add_(direction);
      const double expected = (gradient * direction).sum().item<double>();
      const double scale = (gradient.abs() * direction.abs()).sum().item<double>();
      QVERIFY2(std::abs((above - below) / 2 - expected) <= 1e-5 * scale + 1e-14,
               item.key().c_str());
    }
  }

  void detections_are_the_scripts() {
    const auto values = fixture();
    const auto model = models::make_detector({.name = "lab_faster_rcnn"});
    load(*model, values, "late.");
    const auto batch = fixture_batch(values);
    const auto found = model->detect(batch.images, batch.sizes);
    QCOMPARE(found.size(), std::size_t(8));
    for (std::int64_t i = 0; i < 8; ++i) {
      const torch::Tensor rows = (values.at("det.picture") == i).nonzero().view(-1);
      const auto& own = found[static_cast<std::size_t>(i)];
      QCOMPARE(own.boxes.size(0), rows.size(0));
      QVERIFY(rows.size(0) > 0);
      QVERIFY(torch::equal(own.labels, values.at("det.label").index_select(0, rows) + 1));
      QVERIFY(largest_difference(own.boxes, values.at("det.box").index_select(0, rows)) < 1e-4);
      QVERIFY(largest_difference(own.scores, values.at("det.score").index_select(0, rows)) < 1e-5);
    }
  }

  void detections_do_not_depend_on_the_batch() {
    const auto values = fixture();
    const auto model = models::make_detector({.name = "lab_faster_rcnn"});
    load(*model, values, "late.");
    const auto batch = fixture_batch(values);
    const auto whole = model->detect(batch.images, batch.sizes);
    const auto part = batch.part(5, 1);
    const auto single = model->detect(part.images, part.sizes);
    QCOMPARE(single[0].boxes.size(0), whole[5].boxes.size(0));
    QVERIFY(torch::allclose(single[0].boxes, whole[5].boxes, 1e-5, 1e-4));
  }

  void same_generator_same_losses() {
    const auto values = fixture();
    const auto model = models::make_detector({.name = "lab_faster_rcnn"});
    const auto batch = fixture_batch(values);
    const auto first = total(run(*model, batch, 5)), second = total(run(*model, batch, 5));
    QVERIFY(torch::equal(first, second));
    QVERIFY(!torch::equal(first, total(run(*model, batch, 6))));
  }

  /// Objectness and its boxes draw nothing: the mean of the halves' losses is the whole's.
  void first_stage_losses_are_means_over_pictures() {
    const auto values = fixture();
    const auto model = models::make_detector({.name = "lab_faster_rcnn"});
    load(*model, values, "late.");
    const auto batch = fixture_batch(values);
    const auto whole = run(*model, batch, 1);
    const auto left = run(*model, batch.part(0, 4), 2), right = run(*model, batch.part(4, 4), 3);
    for (const std::size_t i : {0U, 1U}) {
      const double mean = (left[i].second.item<double>() + right[i].second.item<double>()) / 2;
      QVERIFY(std::abs(mean - whole[i].second.item<double>()) < 1e-6);
    }
  }

  void other_sizes_more_boxes_and_no_boxes() {
    const auto model = models::make_detector({.name = "lab_faster_rcnn", .num_classes = 5});
    Batch batch{torch::randn({2, 3, 48, 64}, generator(1)), {{40, 64}, {48, 50}}, {}};
    batch.targets.push_back({torch::tensor({{1.F, 2.F, 12.F, 14.F},
                                            {20.F, 20.F, 30.F, 36.F},
                                            {40.F, 5.F, 60.F, 20.F},
                                            {30.F, 22.F, 44.F, 39.F}}),
                             torch::tensor({1, 5, 2, 3}, torch::kInt64),
                             {}});
    batch.targets.push_back({torch::empty({0, 4}), torch::empty({0}, torch::kInt64), {}});
    const auto losses = run(*model, batch, 1);
    for (const auto& [name, value] : losses) {
      QVERIFY2(std::isfinite(value.item<double>()) && value.item<double>() > 0, name.c_str());
    }
    total(losses).backward();
    for (const auto& found : model->detect(batch.images, batch.sizes)) {
      QVERIFY(found.boxes.size(0) > 0);
      QVERIFY(found.labels.min().item<std::int64_t>() >= 1);
      QVERIFY(found.labels.max().item<std::int64_t>() <= 5);
    }
    const auto first = model->detect(batch.images, batch.sizes)[0].boxes;
    QVERIFY(first.select(1, 3).max().item<double>() <= 40);
  }

  void a_diverged_network_has_nan_losses_and_no_detections() {
    const auto values = fixture();
    const auto model = models::make_detector({.name = "lab_faster_rcnn"});
    {
      const torch::NoGradGuard no_grad;
      model->parameters()[0].fill_(std::numeric_limits<float>::quiet_NaN());
    }
    const auto batch = fixture_batch(values);
    QVERIFY(std::isnan(total(run(*model, batch, 1)).item<double>()));
    for (const auto& found : model->detect(batch.images, batch.sizes)) {
      QCOMPARE(found.boxes.sizes(), torch::IntArrayRef({0, 4}));
    }
  }

  void mistakes_are_named() {
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument,
                             models::make_detector({.name = "lab_fast_rcnn"}));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument,
                             models::make_detector({.name = "lab_faster_rcnn", .norm = "bn"}));
    const auto model = models::make_detector({.name = "lab_faster_rcnn"});
    Batch batch{torch::zeros({1, 3, 32, 32}),
                {{32, 32}},
                {{torch::tensor({{1.F, 1.F, 9.F, 9.F}}), torch::tensor({4}, torch::kInt64), {}}}};
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, run(*model, batch, 1));
    batch.images = torch::zeros({1, 3, 30, 32});
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, run(*model, batch, 1));
  }
};

BATCHSCOPE_TEST(TestLabFasterRcnn)
#include "tst_lab_faster_rcnn.moc"
