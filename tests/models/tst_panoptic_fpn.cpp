#include "models/builders.h"
#include "models/panoptic_merge.h"
#include "tests/support/shapes_batch.h"
#include "tests/support/test_program.h"

#include <torch/types.h>

#include <QtTest>

using namespace batchscope;

namespace {

models::ModelOptions shapes(const std::string& name) {
  return {
      .name = name, .num_classes = testing::kShapeThings, .stuff_classes = testing::kShapeStuff};
}

/// Things on a field of 4x6 px.
struct Things {
  models::Detection found;
  torch::Tensor masks;
};
Things things(const std::vector<torch::Tensor>& masks,
              const std::vector<std::int64_t>& labels,
              const std::vector<float>& scores) {
  return {{.labels = torch::tensor(labels, torch::kInt64), .scores = torch::tensor(scores)},
          masks.empty() ? torch::zeros({0, 4, 6}, torch::kUInt8) : torch::stack(masks)};
}

models::PanopticSegments merge(const Things& things,
                               const torch::Tensor& stuff,
                               const models::PanopticMergeOptions& options = {}) {
  return models::merge_panoptic(things.found, things.masks, stuff, options);
}

torch::Tensor rectangle(std::int64_t y0, std::int64_t y1, std::int64_t x0, std::int64_t x1) {
  torch::Tensor mask = torch::zeros({4, 6}, torch::kUInt8);
  mask.slice(0, y0, y1).slice(1, x0, x1).fill_(1);
  return mask;
}

/// Rows of digits.
torch::Tensor field(const std::vector<std::string>& rows) {
  torch::Tensor out = torch::zeros(
      {static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(rows[0].size())},
      torch::kInt64);
  for (std::size_t y = 0; y < rows.size(); ++y) {
    for (std::size_t x = 0; x < rows[y].size(); ++x) {
      out[static_cast<std::int64_t>(y)][static_cast<std::int64_t>(x)] = rows[y][x] - '0';
    }
  }
  return out;
}

bool is(const torch::Tensor& found, const torch::Tensor& wanted) {
  return found.sizes() == wanted.sizes() && torch::equal(found.to(torch::kInt64), wanted);
}

}  // namespace

class TestPanopticFpn : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  /// By hand: the second thing keeps what the first leaves (half of it), the third is hidden by
  /// more than half, the fourth hopes in vain, the fifth is empty.
  void things_come_first_and_best_first() {
    const auto found = things({rectangle(0, 2, 0, 2),
                               rectangle(0, 2, 1, 3),
                               rectangle(0, 3, 0, 1),
                               rectangle(3, 4, 5, 6),
                               rectangle(0, 0, 0, 0)},
                              {2, 1, 1, 2, 1},
                              {0.9F, 0.8F, 0.7F, 0.4F, 0.3F});
    const auto nothing = field({"000000", "000000", "000000", "000000"});
    const auto merged = merge(found, nothing);
    QCOMPARE(merged.map.scalar_type(), torch::kInt32);
    QVERIFY(is(merged.map, field({"112000", "112000", "000000", "000000"})));
    QVERIFY(is(merged.labels, torch::tensor({2, 1}, torch::kInt64)));
    const auto all = merge(found, nothing, {.min_score = 0, .max_overlap = 1});
    QVERIFY(is(all.map, field({"112000", "112000", "300000", "000004"})));
    QVERIFY(is(all.labels, torch::tensor({2, 1, 1, 2}, torch::kInt64)));
  }

  /// A region of stuff counts what the things leave of it.
  void stuff_fills_what_is_left() {
    const auto stuff = field({"334444", "334444", "000055", "444444"});
    const auto found = things({rectangle(0, 2, 0, 1)}, {1}, {0.9F});
    auto merged = merge(found, stuff, {.min_stuff_area = 2});
    QVERIFY(is(merged.map, field({"123333", "123333", "000044", "333333"})));
    QVERIFY(is(merged.labels, torch::tensor({1, 3, 4, 5}, torch::kInt64)));
    merged = merge(found, stuff, {.min_stuff_area = 3});
    QVERIFY(is(merged.map, field({"102222", "102222", "000000", "222222"})));
    QVERIFY(is(merged.labels, torch::tensor({1, 4}, torch::kInt64)));
    merged = merge(things({}, {}, {}), stuff, {.min_stuff_area = 100});
    QVERIFY(is(merged.map, torch::zeros({4, 6}, torch::kInt64)));
    QCOMPARE(merged.labels.numel(), std::int64_t(0));
  }

  void the_limits_are_detectron2s() {
    const auto large = models::panoptic_fpn_options(shapes("panoptic_fpn_resnet50"));
    QCOMPARE(large.merge.min_score, 0.5);
    QCOMPARE(large.merge.max_overlap, 0.5);
    QCOMPARE(large.merge.min_stuff_area, std::int64_t(4096));
    QCOMPARE(large.semantic.loss_weight, 0.5);
    const auto tiny = models::tiny_panoptic_fpn_options(shapes("tiny_panoptic_fpn"));
    QCOMPARE(tiny.merge.min_stuff_area, std::int64_t(368));  // 4096 · (240 / 800)²
  }

  void limits_can_be_set_where_they_apply() {
    auto options = shapes("panoptic_fpn_resnet50");
    options.score_threshold = 0.3;
    options.nms_threshold = 0.6;
    options.max_detections = 7;
    options.min_stuff_area = 9;
    const auto holds = [](const auto& o) {
      return o.score_threshold == 0.3 && o.nms_threshold == 0.6 && o.max_detections == 7;
    };
    for (const auto& o :
         {models::panoptic_fpn_options(options), models::tiny_panoptic_fpn_options(options)}) {
      QCOMPARE(o.merge.min_stuff_area, std::int64_t(9));
      QVERIFY(holds(o.instances.roi_heads));
    }
    QVERIFY(holds(models::retinanet_options(options, models::HeadVersion::kV1)));
    QVERIFY(holds(models::tiny_retinanet_options(options)));
    for (const char* name : {"tiny_semantic_fpn", "lab_faster_rcnn", "tiny_mask_rcnn"}) {
      options.name = name;  // no boxes; fixed limits; no stuff
      QVERIFY_THROWS_EXCEPTION(std::invalid_argument, models::make_detector(options));
    }
    options.min_stuff_area.reset();
    QVERIFY(models::make_detector(options) != nullptr);  // tiny_mask_rcnn
  }

  /// What both models have is the same: keys, weights, losses, the boxes found.
  void instances_are_those_of_mask_rcnn() {
    const auto model = models::make_detector(shapes("tiny_panoptic_fpn"));
    const auto masks = models::make_detector(shapes("tiny_mask_rcnn"));
    const auto state = testing::sorted_state(*model);
    for (const auto& [name, value] : testing::sorted_state(*masks)) {
      QVERIFY2(state.contains(name) && torch::equal(state.at(name), value), name.c_str());
    }
    for (const auto& [name, value] : state) {
      QVERIFY(masks->named_parameters().contains(name) || name.starts_with("semantic_head."));
    }
    const auto batch = testing::make_shapes();
    const auto run = [&](models::Detector& d) {
      return d.losses(batch.images, batch.sizes, batch.targets, testing::generator(4));
    };
    const auto all = run(*model), some = run(*masks);
    QCOMPARE(all.size(), some.size() + 1);
    for (std::size_t i = 0; i < all.size(); ++i) {
      QCOMPARE(all[i].first, model->loss_names()[i]);
      if (i < some.size()) {
        QCOMPARE(all[i].first, some[i].first);
        QCOMPARE(all[i].second.item<double>(), some[i].second.item<double>());
      }
    }
    QCOMPARE(all.back().first, std::string("loss_semantic"));
    const auto a = model->detect(batch.images, batch.sizes);
    const auto b = masks->detect(batch.images, batch.sizes);
    QVERIFY(torch::equal(a[1].boxes, b[1].boxes) &&
            torch::equal(a[1].mask_probabilities, b[1].mask_probabilities));
  }

  void a_few_steps_find_the_segments() {
    const auto model = models::make_detector(shapes("tiny_panoptic_fpn"));
    const auto batch = testing::make_shapes();
    testing::fit(*model, batch, 80);
    const auto found = model->detect(batch.images, batch.sizes);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const auto& truth = batch.targets[i].semantic;
      const auto& map = found[i].segments;
      QCOMPARE(map.sizes(), truth.sizes());
      QCOMPARE(map.scalar_type(), torch::kInt32);
      QCOMPARE(found[i].semantic.sizes(), truth.sizes());
      QVERIFY(found[i].semantic.min().item<int>() >= 1);
      const auto labels = found[i].segment_labels;
      QVERIFY(is(std::get<0>(labels.sort()), torch::tensor({1, 2, 3, 4}, torch::kInt64)));
      for (std::int64_t k = 0; k < labels.numel(); ++k) {
        const auto own = (map == k + 1) & (truth != 0), wanted = truth == labels[k];
        const double iou =
            (own & wanted).sum().item<double>() / (own | wanted).sum().item<double>();
        QVERIFY2(iou > 0.75,
                 qPrintable(QStringLiteral("picture %1, label %2: IoU %3")
                                .arg(i)
                                .arg(labels[k].item<int>())
                                .arg(iou)));
        QVERIFY((found[i].semantic.masked_select(map == k + 1) == labels[k]).all().item<bool>());
      }
    }
  }
};

BATCHSCOPE_TEST(TestPanopticFpn)
#include "tst_panoptic_fpn.moc"
