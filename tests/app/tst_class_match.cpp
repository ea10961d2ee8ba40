#include "app/class_match.h"
#include "app/relabelled_detector.h"
#include "engine/contract/error.h"
#include "tests/support/sentences.h"
#include "tests/support/test_program.h"

#include <QtTest>

using namespace batchscope;
using app::ClassMatch;
using app::match_classes;
using app::ModelClasses;
using train::ClassList;

namespace {

using Labels = std::vector<std::int64_t>;

ModelClasses boxes(std::int64_t things, std::vector<std::string> names = {}) {
  return {"checkpoint 'a.ckpt'", {things, 0}, std::move(names), true, false};
}

ModelClasses panoptic(std::int64_t things,
                      std::int64_t stuff,
                      std::vector<std::string> names = {}) {
  return {"checkpoint 'a.ckpt'", {things, stuff}, std::move(names), true, true};
}

ModelClasses semantic(std::int64_t classes, std::vector<std::string> names = {}) {
  return {"weight file 'a.pth'", {0, classes}, std::move(names), false, true};
}

std::string refusal(const ModelClasses& model, const ClassList& list) {
  return sentence_of<contract::DataError>([&] { match_classes(model, list, "'b.json'"); });
}

/// Finds four objects, a map and two segments, whatever it is shown.
class FixedDetector final : public models::Detector {
 public:
  FixedDetector() { register_parameter("weight", torch::ones({1})); }
  models::Losses losses(const torch::Tensor&,
                        const std::vector<std::pair<std::int64_t, std::int64_t>>&,
                        const std::vector<models::Target>&,
                        torch::Generator) override {
    return {};
  }
  std::vector<models::Detection> detect(
      const torch::Tensor&, const std::vector<std::pair<std::int64_t, std::int64_t>>&) override {
    return {found};
  }
  std::vector<models::ModuleGroup> module_groups() const override {
    return {{"all", {"weight"}, {named_parameters()["weight"]}}};
  }
  models::InputTransform input_transform() const override { return {{}, {}, 77, 99, 32}; }
  std::vector<std::string> loss_names() const override { return {"loss"}; }

  models::Detection found = {.boxes = torch::arange(16, torch::kFloat32).view({4, 4}),
                             .labels = torch::tensor({3, 1, 2, 3}, torch::kInt64),
                             .scores = torch::tensor({0.9, 0.8, 0.7, 0.6})};
};

Labels values(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.to(torch::kInt64).contiguous();
  return {flat.const_data_ptr<std::int64_t>(), flat.const_data_ptr<std::int64_t>() + flat.numel()};
}

}  // namespace

/// What a detector's labels are among the classes of another file.
class TestClassMatch : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void equal_classes_need_no_table() {
    const ClassList list{{"cat", "dog"}, {3, 8}, 2};
    for (const ModelClasses& model : {boxes(2), boxes(2, {"cat", "dog"})}) {
      const ClassMatch match = match_classes(model, list, "'b.json'");
      QVERIFY(match.same());
      QVERIFY(match.note.empty());
      QCOMPARE(match.classes.ids, (Labels{3, 8}));
    }
  }

  void labels_are_category_ids_where_the_largest_id_says_so() {
    const ClassList list{{"two", "six"}, {2, 6}, 2};
    const ClassMatch match = match_classes(boxes(6), list, "'b.json'");
    QCOMPARE(match.labels, (Labels{0, 1, 0, 0, 0, 2}));
    QVERIFY(!match.same());
    QVERIFY2(contains(match.note, "labels are taken as category ids"), match.note.c_str());
    QCOMPARE(refusal(boxes(5), list),
             std::string("The number of classes differs: the checkpoint 'a.ckpt' has 5, 'b.json' 2 "
                         "(largest id 6)."));
    // Maps cannot do without the others, and names are no ids.
    QVERIFY(contains(refusal(semantic(6), list), "the weight file 'a.pth' has 6, 'b.json' 2"));
    QVERIFY(!refusal(boxes(6, {"1", "2", "3", "4", "5", "6"}), list).empty());
  }

  void names_decide_and_not_their_order() {
    const ClassList list{{"square", "disc"}, {5, 9}, 2};
    const ClassMatch turned = match_classes(boxes(2, {"disc", "square"}), list, "'b.json'");
    QCOMPARE(turned.labels, (Labels{2, 1}));
    QVERIFY(turned.note.empty());
    const ClassMatch fewer = match_classes(boxes(3, {"disc", "star", "square"}), list, "'b.json'");
    QCOMPARE(fewer.labels, (Labels{2, 0, 1}));
    QVERIFY2(contains(fewer.note, "1 of 3 classes of the checkpoint 'a.ckpt'"), fewer.note.c_str());
    QCOMPARE(refusal(boxes(2, {"square", "disk"}), list),
             std::string("The category 9 of 'b.json', 'disc', is no class of the checkpoint "
                         "'a.ckpt'; expected square, disk."));
    QVERIFY(contains(refusal(boxes(2, {"a", "b"}), {{"a", "a"}, {1, 2}, 2}), "are called 'a'"));
  }

  void names_that_were_made_up_are_ids() {
    const ClassList list{{"sky", "road", "tree"}, {4, 7, 2}, 0};
    const ClassMatch match =
        match_classes(semantic(3, {"class 2", "class 4", "class 7"}), list, "'b.json'");
    QCOMPARE(match.labels, (Labels{3, 1, 2}));
    QVERIFY(!refusal(semantic(3, {"class 1", "class 2", "class 4"}), list).empty());
  }

  void pixels_need_every_class_and_its_kind() {
    const ClassList list{{"cat", "dog", "sky"}, {1, 2, 90}, 2};
    QVERIFY(match_classes(panoptic(2, 1), list, "'b.json'").same());
    QCOMPARE(match_classes(panoptic(2, 1, {"dog", "cat", "sky"}), list, "'b.json'").labels,
             (Labels{2, 1, 3}));
    QVERIFY(contains(refusal(panoptic(1, 2), list),
                     "has 1 of things and 2 of stuff, 'b.json' 2 of things and 1 of stuff"));
    QVERIFY(contains(refusal(panoptic(1, 2, {"cat", "dog", "sky"}), list),
                     "The class 'dog' is stuff in the checkpoint 'a.ckpt'"));
    QVERIFY(contains(refusal(semantic(4, {"cat", "dog", "sky", "road"}), list),
                     "a model that labels pixels needs them all"));
    // Of boxes alone: the stuff is passed over.
    const ClassMatch things = match_classes(boxes(2, {"dog", "cat"}), list, "'b.json'");
    QCOMPARE(things.classes.ids, (Labels{1, 2}));
    QCOMPARE(things.labels, (Labels{2, 1}));
  }

  void a_detector_with_other_labels() {
    const auto inner = std::make_shared<FixedDetector>();
    inner->found.mask_probabilities = torch::arange(16, torch::kFloat32).view({4, 2, 2});
    app::RelabelledDetector detector(inner, {0, 5, 1});
    const models::Detection found = detector.detect({}, {}).at(0);
    QCOMPARE(values(found.labels), (Labels{1, 5, 1}));
    QCOMPARE(values(found.scores * 10 + 0.5), (Labels{9, 7, 6}));
    QCOMPARE(values(found.boxes.select(1, 0)), (Labels{0, 8, 12}));
    QCOMPARE(values(found.mask_probabilities.select(1, 0).select(1, 0)), (Labels{0, 8, 12}));
    QVERIFY(!found.semantic.defined());
    QCOMPARE(detector.input_transform().min_size, std::int64_t{77});
    const std::string name = detector.module_groups().at(0).parameter_names.at(0);
    QVERIFY2(detector.named_parameters().contains(name), name.c_str());
    detector.eval();
    QVERIFY(!inner->is_training());
  }

  void maps_with_other_labels() {
    const auto inner = std::make_shared<FixedDetector>();
    inner->found.semantic = torch::tensor({1, 2, 3, 3}, torch::kInt16).view({2, 2});
    inner->found.segment_labels = torch::tensor({3, 2}, torch::kInt64);
    const models::Detection found = app::RelabelledDetector(inner, {3, 1, 2}).detect({}, {}).at(0);
    QCOMPARE(found.semantic.sizes(), (torch::IntArrayRef{2, 2}));
    QVERIFY(found.semantic.scalar_type() == torch::kInt16);
    QCOMPARE(values(found.semantic), (Labels{3, 1, 2, 2}));
    QCOMPARE(values(found.segment_labels), (Labels{2, 1}));
    QCOMPARE(values(found.labels), (Labels{2, 3, 1, 2}));
  }
};

BATCHSCOPE_TEST(TestClassMatch)
#include "tst_class_match.moc"
