#include "models/anchors.h"
#include "models/boxes.h"
#include "models/matcher.h"
#include "models/ops/nms.h"
#include "models/ops/roi_align.h"
#include "models/roi_heads.h"
#include "models/weights/tensor_file.h"
#include "tests/support/test_program.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <QtTest>

#include <stdexcept>

using namespace batchscope;
using models::RoiAlignOptions;

namespace {

const std::map<std::string, torch::Tensor>& fixture() {
  static const auto kValues =
      models::read_tensors(BATCHSCOPE_FIXTURES "/models/torchvision.safetensors");
  return kValues;
}

const torch::Tensor& value(const std::string& name) {
  return fixture().at(name);
}

bool close(const torch::Tensor& a, const torch::Tensor& b, double tolerance = 1e-12) {
  return a.sizes() == b.sizes() && torch::allclose(a, b, tolerance, tolerance);
}

RoiAlignOptions pool_options(int aligned, int ratio) {
  return {.pooled_height = 3,
          .pooled_width = 4,
          .spatial_scale = 0.25,
          .sampling_ratio = ratio,
          .aligned = aligned != 0};
}

struct Pooled {
  torch::Tensor out, grad;
};

Pooled pool(const RoiAlignOptions& options, torch::ScalarType dtype) {
  const torch::Tensor x = value("roi.features").to(dtype).clone().requires_grad_();
  const torch::Tensor y = models::roi_align(x, value("roi.rois").to(dtype), options);
  (y * value("roi.weight").to(dtype)).sum().backward();
  return {y.detach(), x.grad()};
}

}  // namespace

class TestOps : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void nms_is_torchvisions() {
    for (const std::string threshold : {"0.3", "0.7"}) {
      const double t = std::stod(threshold);
      QVERIFY(torch::equal(models::nms(value("nms.boxes"), value("nms.scores"), t),
                           value("nms.keep" + threshold)));
      const auto grouped =
          models::batched_nms(value("nms.boxes"), value("nms.scores"), value("nms.groups"), t);
      const auto& expected = value("nms.grouped" + threshold);
      QCOMPARE(grouped.size(0), expected.size(0));
      // torchvision sorts the groups together without keeping ties in order.
      QVERIFY(torch::equal(std::get<0>(grouped.sort()), std::get<0>(expected.sort())));
      QVERIFY(torch::equal(value("nms.scores").index_select(0, grouped),
                           value("nms.scores").index_select(0, expected)));
    }
  }

  void nms_of_few_boxes() {
    const auto none = models::nms(torch::empty({0, 4}), torch::empty({0}), 0.5);
    QCOMPARE(none.numel(), std::int64_t(0));
    QCOMPARE(none.scalar_type(), torch::kInt64);
    // IoU of the first two is exactly 1/2: kept at 0.5, dropped below.
    const auto boxes = torch::tensor({{0., 0., 2., 1.}, {0., 0., 1., 1.}, {5., 5., 6., 6.}});
    const auto scores = torch::tensor({0.5, 0.9, 0.5});
    QVERIFY(torch::equal(models::nms(boxes, scores, 0.5), torch::tensor({1, 0, 2}, torch::kInt64)));
    QVERIFY(torch::equal(models::nms(boxes, scores, 0.49), torch::tensor({1, 2}, torch::kInt64)));
    const auto apart = torch::tensor({0, 1, 0}, torch::kInt64);
    QCOMPARE(models::batched_nms(boxes, scores, apart, 0.1).size(0), std::int64_t(3));
  }

  void nms_refuses_wrong_shapes() {
    QVERIFY_THROWS_EXCEPTION(c10::Error, models::nms(torch::rand({3, 5}), torch::rand({3}), 0.5));
    QVERIFY_THROWS_EXCEPTION(c10::Error, models::nms(torch::rand({3, 4}), torch::rand({2}), 0.5));
    QVERIFY_THROWS_EXCEPTION(
        c10::Error,
        models::batched_nms(torch::rand({3, 4}), torch::rand({3}), torch::rand({3}), 0.5));
  }

  void roi_align_is_torchvisions_data() {
    QTest::addColumn<int>("aligned");
    QTest::addColumn<int>("ratio");
    for (const int aligned : {0, 1}) {
      for (const int ratio : {-1, 1, 2}) {
        QTest::addRow("aligned %d ratio %d", aligned, ratio) << aligned << ratio;
      }
    }
  }
  void roi_align_is_torchvisions() {
    QFETCH(int, aligned);
    QFETCH(int, ratio);
    const std::string key = "." + std::to_string(aligned) + "." + std::to_string(ratio);
    const auto wide = pool(pool_options(aligned, ratio), torch::kFloat64);
    QVERIFY(close(wide.out, value("roi.out" + key)));
    QVERIFY(close(wide.grad, value("roi.grad" + key)));
    const auto narrow = pool(pool_options(aligned, ratio), torch::kFloat32);
    QVERIFY(close(narrow.out.to(torch::kFloat64), value("roi.out" + key), 1e-5));
    QVERIFY(close(narrow.grad.to(torch::kFloat64), value("roi.grad" + key), 1e-5));
  }

  void roi_align_does_not_depend_on_threads() {
    const int threads = at::get_num_threads();
    const auto one = pool(pool_options(1, 2), torch::kFloat32);
    at::set_num_threads(3);
    const auto three = pool(pool_options(1, 2), torch::kFloat32);
    at::set_num_threads(threads);
    QVERIFY(torch::equal(one.out, three.out));
    QVERIFY(torch::equal(one.grad, three.grad));
  }

  void roi_align_of_nothing_and_of_nan() {
    const auto x = torch::ones({1, 2, 8, 8}).requires_grad_();
    const auto none = models::roi_align(x, torch::empty({0, 5}), {});
    QCOMPARE(none.sizes(), torch::IntArrayRef({0, 2, 7, 7}));
    none.sum().backward();
    QVERIFY(torch::equal(x.grad(), torch::zeros_like(x)));
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const std::int64_t ratio : {-1, 2}) {
      const auto y = models::roi_align(
          x, torch::tensor({{0.F, nan, nan, nan, nan}}), {.sampling_ratio = ratio});
      QVERIFY(torch::equal(y, torch::zeros_like(y)));
    }
  }

  void roi_align_refuses_wrong_input() {
    const auto x = torch::ones({1, 2, 8, 8});
    QVERIFY_THROWS_EXCEPTION(c10::Error, models::roi_align(x, torch::rand({3, 4}), {}));
    QVERIFY_THROWS_EXCEPTION(c10::Error,
                             models::roi_align(x, torch::rand({3, 5}, torch::kFloat64), {}));
    QVERIFY_THROWS_EXCEPTION(c10::Error,
                             models::roi_align(x, torch::tensor({{1.F, 0.F, 0.F, 4.F, 4.F}}), {}));
  }

  void box_functions_are_torchvisions() {
    const auto &a = value("box.a"), &b = value("box.b");
    QVERIFY(close(models::box_iou(a, b), value("box.iou")));
    QVERIFY(close(models::box_area(a), value("box.area")));
    QVERIFY(close(models::clip_boxes(a, 70, 60), value("box.clipped")));
    QVERIFY(torch::equal(models::large_boxes(a, 20), value("box.large")));
    const models::BoxCoder coder({10, 10, 5, 5});
    QVERIFY(close(coder.encode(a, b), value("box.encoded")));
    QVERIFY(close(coder.decode(value("box.offsets"), b), value("box.decoded")));
    QVERIFY(close(coder.decode(coder.encode(a, b), b).squeeze(1), a));
  }

  void anchors_are_torchvisions() {
    const models::AnchorGenerator generator(
        {.sizes = {{16}, {32, 50}}, .aspect_ratios = {{0.5, 1.0, 2.0}, {0.7, 1.0}}});
    QCOMPARE(generator.per_cell(0), std::int64_t(3));
    QCOMPARE(generator.per_cell(1), std::int64_t(4));
    QVERIFY(
        torch::equal(torch::cat(generator.levels({64, 96}, {{8, 12}, {4, 6}}, torch::empty({0}))),
                     value("anchors")));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument,
                             generator.levels({64, 96}, {{8, 12}}, torch::empty({0})));
  }

  void matches_are_torchvisions() {
    for (const int low : {0, 1}) {
      const auto matches = models::match(value("match.quality"),
                                         {.high = 0.7, .low = 0.3, .allow_low_quality = low != 0});
      QVERIFY(torch::equal(matches, value("match." + std::to_string(low))));
    }
    QVERIFY(!torch::equal(value("match.0"), value("match.1")));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, models::match(torch::empty({0, 3}), {}));
  }

  void samples_are_torchvisions() {
    auto generator = at::detail::createCPUGenerator(17);
    const auto sample = models::sample_balanced(
        value("sample.labels"), {.per_picture = 90, .positive_fraction = 0.25}, generator);
    QVERIFY(torch::equal(sample.positive, value("sample.positive")));
    QVERIFY(torch::equal(sample.negative, value("sample.negative")));
  }

  void levels_are_torchvisions() {
    QVERIFY(torch::equal(models::map_levels(value("levels.boxes"), 2, 5, 112), value("levels")));
    QVERIFY(value("levels").max().item<std::int64_t>() == 3);
    QVERIFY(value("levels").min().item<std::int64_t>() == 0);
  }
};

BATCHSCOPE_TEST(TestOps)
#include "tst_ops.moc"
