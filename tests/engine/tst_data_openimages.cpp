#include "engine/contract/error.h"
#include "engine/data/csv_file.h"
#include "engine/data/make_dataset.h"
#include "engine/metrics/openimages_files.h"
#include "tests/support/corners.h"
#include "tests/support/data_folder.h"
#include "tests/support/test_program.h"

#include <algorithm>
#include <cmath>

using namespace batchscope;
using contract::DataError;
using train::OpenImagesBox;
using train::OpenImagesSet;

namespace {

const std::string kBoxes =
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,"
    "IsDepiction,IsInside\n"
    "00a,xclick,/m/dog,1,0.25,0.75,0.5,1,0,0,0,0,0\n"
    "00a,xclick,/m/cat,1,0,1,0,0.5,0,0,1,0,-1\n"
    "0ff,xclick,/m/cat,1,0.1,0.1,0,0.5,0,0,0,0,0\r\n"
    "\n"
    "0ff,xclick,\"/m/cat\",1,0.5,0.75,0.25,0.5,0,0,0,0,0\n";

const std::string kNames = "LabelName,DisplayName\n/m/dog,Dog\n/m/cat,\"Cat, \"\"house\"\"\"\n";

void fill(const DataFolder& folder, const std::string& boxes = kBoxes) {
  folder.write("boxes.csv", boxes);
  folder.write("names.csv", kNames);
  folder.picture("images/00a.png", 40, 20);
  folder.picture("images/0ff.png", 8, 16);
}

contract::RunSpec spec_of(const DataFolder& folder) {
  contract::RunSpec spec;
  spec.data.kind = "openimages";
  spec.data.annotations = folder.path("boxes.csv");
  spec.data.images = folder.path("images");
  spec.data.classes = folder.path("names.csv");
  return spec;
}

/// A square of side 10 at x, in picture `image`.
OpenImagesBox square(std::int64_t image, double x, double score = 0, std::int64_t label = 1) {
  return {.image = image,
          .label = label,
          .x1 = x,
          .y1 = 0,
          .x2 = x + 10,
          .y2 = 10,
          .group = false,
          .score = score};
}

OpenImagesBox group(std::int64_t image, double x1, double x2, std::int64_t label = 1) {
  OpenImagesBox box = square(image, x1, 0, label);
  box.x2 = x2;
  box.group = true;
  return box;
}

bool near(double found, double expected) {
  return std::abs(found - expected) < 1e-12;
}

const char* const kTree = R"({"LabelName": "/m/entity", "Subcategory": [
  {"LabelName": "b"},
  {"LabelName": "c", "Subcategory": [{"LabelName": "d"}, {"LabelName": "e"}], "Part": [{"x": 1}]},
  {"Subcategory": [{"LabelName": "d"}], "LabelName": "f"}]})";

}  // namespace

class TestDataOpenImages : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void shares_become_pixels() {
    const DataFolder folder;
    fill(folder);
    const auto set = train::make_training_set(spec_of(folder));
    QCOMPARE(set->size(), 2);
    QVERIFY((set->classes() == std::vector<std::string>{"Dog", "Cat, \"house\""}));
    const train::Sample a = set->get(0), b = set->get(1);
    QCOMPARE(a.name, std::string("00a.png"));
    QVERIFY(torch::equal(a.boxes, corners({10, 10, 30, 20})));
    QVERIFY(torch::equal(a.labels, torch::tensor(std::vector<std::int64_t>{1})));
    QVERIFY(torch::equal(b.boxes, corners({4, 4, 6, 8})));
    const auto truth = set->truth(0);  // of the file's header: nothing is decoded
    QCOMPARE(truth.size(), std::size_t{2});
    QVERIFY(!truth[0].crowd && truth[1].crowd);
    QCOMPARE(truth[0].area, 200.0);
    QCOMPARE(truth[1].w, 40.0);
    QVERIFY(contains(set->warnings().at(0), "1 box without area"));
  }

  void without_names_the_labels_are_the_classes() {
    const DataFolder folder;
    fill(folder);
    contract::RunSpec spec = spec_of(folder);
    spec.data.classes.clear();
    const auto set = train::make_training_set(spec);
    QVERIFY((set->classes() == std::vector<std::string>{"/m/cat", "/m/dog"}));
    folder.write("old.csv", "/m/cat,Cat\n/m/dog,Dog\n");  // older files have no header
    spec.data.classes = folder.path("old.csv");
    QVERIFY((train::make_training_set(spec)->classes() == std::vector<std::string>{"Cat", "Dog"}));
  }

  void lists_choose_pictures() {
    const DataFolder folder;
    fill(folder);
    folder.picture("images/0e0.png", 3, 3);
    folder.write("train.txt", "0ff\n0e0\n");
    folder.write("val.txt", "00a\n");
    contract::RunSpec spec = spec_of(folder);
    spec.data.list = folder.path("train.txt");
    spec.data.val_list = folder.path("val.txt");
    contract::validate(spec);
    const auto training = train::make_training_set(spec);
    QCOMPARE(training->size(), 2);
    QCOMPARE(training->get(0).name, std::string("0ff.png"));
    QVERIFY(training->truth(1).empty());
    const auto validation = train::make_validation_set(spec);
    QCOMPARE(validation->size(), 1);
    QCOMPARE(validation->truth(0)[1].label, 2);
    QVERIFY(validation->checksum() != training->checksum());
  }

  void damaged_rows_are_named_data() {
    const DamageRows row;
    row("column missing",
        "XMin,",
        "X,",
        "line 1: expected a column 'XMin', found: ImageID, Source");
    row("field missing", ",0,0,0,0,0\n", ",0,0,0,0\n", "line 2: expected 13 fields, found 12");
    row("text for a number",
        "0.25,0.75",
        "left,0.75",
        "line 2: XMin: expected a number, found 'left'");
    row("pixels for shares", "0.25,0.75", "0.25,75", "line 2: XMax: expected a share of the side");
    row("flag",
        ",1,0,-1\n",
        ",maybe,0,-1\n",
        "line 3: IsGroupOf: expected 0, 1 or -1, found 'maybe'");
    row("unknown label",
        "/m/dog",
        "/m/cow",
        "line 2: the label '/m/cow' is not in the file of class");
    row("open quote", "\"/m/cat\"", "\"/m/cat", "line 6: a quote is not closed");
    row("picture missing", "00a,", "00b,", "the first is '00b.jpg'");
  }
  void damaged_rows_are_named() {
    const Damage damage = Damage::fetch();
    const DataFolder folder;
    fill(folder, damage.in(kBoxes));
    const std::string error =
        sentence_of<DataError>([&] { train::make_training_set(spec_of(folder)); });
    QVERIFY2(contains(error, damage.said), error.c_str());
    QVERIFY2(contains(error, "boxes.csv'"), error.c_str());
  }

  void quoted_fields_may_have_line_breaks() {
    const DataFolder folder;
    folder.write("a.csv", "A,B\n1,\"x\r\ny, \"\"z\"\"\"\r\n\n2,5\" disk\n3\n");
    train::CsvFile file(folder.path("a.csv"), "The file");
    file.read_header({"A", "B"});
    QVERIFY(file.next());
    QCOMPARE(file.text("A"), std::string("1"));
    QCOMPARE(file.text("B"), std::string("x\r\ny, \"z\""));
    QVERIFY(file.next());
    QCOMPARE(file.text("B"), std::string("5\" disk"));
    QVERIFY(file.next());
    QVERIFY(contains(sentence_of<DataError>([&] { file.text("A"); }),
                     "line 6: expected 2 fields, found 1"));
    QVERIFY(!file.next());
    std::string endless = "A\nb\n\"";
    for (int i = 0; i < 30000; ++i) {
      endless += "a line of a field that does not end, in a file that does\n";
    }
    folder.write("endless.csv", endless + "\"\n");  // closed after more than a mebibyte
    train::CsvFile long_file(folder.path("endless.csv"), "The file");
    long_file.read_header({"A"});
    QVERIFY(long_file.next());
    QVERIFY(contains(sentence_of<DataError>([&] { long_file.next(); }),
                     "line 3: a quote is not closed"));
    fill(folder);
    folder.write("names.csv", "/m/dog,\"Dog\nor hound\"\n/m/cat,Cat\n");
    QCOMPARE(train::make_training_set(spec_of(folder))->classes().front(),
             std::string("Dog\nor hound"));
  }

  void pictures_without_objects_can_be_left_out() {
    const DataFolder folder;
    fill(folder);
    folder.picture("images/0e0.png", 3, 3);
    folder.write("train.txt", "0e0\n0ff\n");
    contract::RunSpec spec = spec_of(folder);
    spec.data.list = folder.path("train.txt");
    spec.data.skip_empty = true;
    contract::validate(spec);
    const auto set = train::make_training_set(spec);
    QCOMPARE(set->size(), 1);
    QCOMPARE(set->get(0).name, std::string("0ff.png"));
  }

  // They are the validation set's; where there is none, nobody else would look at them.
  void files_of_the_figure_are_read_without_a_validation_set() {
    const DataFolder folder;
    fill(folder);
    contract::RunSpec spec = spec_of(folder);
    const auto said = [&spec] {
      return sentence_of<DataError>([&] { train::make_training_set(spec); });
    };
    spec.data.hierarchy = folder.path("tree.json");
    QVERIFY2(contains(said(), "tree.json'"), said().c_str());
    folder.write("tree.json", kTree);
    QVERIFY(said().empty());
    const auto warnings = train::make_training_set(spec)->warnings();
    QVERIFY(std::any_of(warnings.begin(), warnings.end(), [](const std::string& w) {
      return contains(w, "tree.json' lacks 2 of 2 classes");
    }));
    spec.data.val_image_labels = folder.path("labels.csv");
    QVERIFY2(contains(said(), "labels.csv' cannot be opened"), said().c_str());
    spec.data.val_annotations = spec.data.annotations;
    QVERIFY(said().empty());
    QVERIFY(contains(sentence_of<DataError>([&] { train::make_validation_set(spec); }),
                     "labels.csv' cannot be opened"));
  }

  void missing_and_empty_files() {
    const DataFolder folder;
    fill(folder, "");
    const auto said = [&folder] {
      return sentence_of<DataError>([&] { train::make_training_set(spec_of(folder)); });
    };
    QVERIFY(contains(said(), "boxes.csv' is empty"));
    std::filesystem::remove(folder.path("boxes.csv"));
    QVERIFY(contains(said(), "boxes.csv' cannot be opened"));
    fill(folder);
    folder.write("names.csv", "/m/dog,Dog\n/m/dog,Cat\n");
    QVERIFY(contains(said(), "names.csv', line 2: '/m/dog' or 'Cat' comes twice"));
    folder.write("names.csv", "/m/dog\n");
    QVERIFY(contains(said(), "line 1: expected a label and its name, found 1"));
  }

  // Scores .9 hit, .8 false, .7 hit (overlap 8/12 = .67), .6 a second time on the first box: false.
  // Recall 1/3, 2/3; precision 1, .5, .667, .5; what is reached at or above: 1, .667.
  void average_precision_by_hand() {
    OpenImagesSet set;
    set.truth = {square(1, 0), square(1, 50), square(2, 0)};
    set.detections = {square(1, 0, .9), square(1, 30, .8), square(1, 52, .7), square(1, 1, .6)};
    const auto figures = train::openimages_ap(set);
    QVERIFY(near(figures.ap, (1 + 2.0 / 3) / 3));
    QCOMPARE(figures.by_label.size(), std::size_t{1});
    set.detections[2] = square(1, 54, .7);  // overlap 6/14: false
    QVERIFY(near(train::openimages_ap(set).ap, 1.0 / 3));
    // At a lower overlap it is a hit again.
    QVERIFY(near(train::openimages_ap(set, {.overlap = 0.4}).ap, (1 + 2.0 / 3) / 3));
  }

  // A group-of box of 100 px. Two detections inside: one hit with the better score .8. One of which
  // 4/10 lie inside is false (.7). A box and a group are two objects: recall .5 (.9), 1 (.8).
  void group_of_boxes_by_hand() {
    OpenImagesSet set;
    set.truth = {square(1, 200), group(1, 0, 100)};
    set.detections = {square(1, 200, .9), square(1, 10, .6), square(1, 40, .8), square(1, 96, .7)};
    QVERIFY(near(train::openimages_ap(set).ap, 1));
    set.detections[3].score = .85;  // false before the group's hit: precision 2/3 there
    QVERIFY(near(train::openimages_ap(set).ap, .5 + .5 * 2 / 3));
    // Weight 0: what lies in the group is ignored, the group is no object: .9 is all there is.
    QVERIFY(near(train::openimages_ap(set, {.group_weight = 0}).ap, 1));
    // A group that nothing lies in is missed by its weight.
    set.detections = {square(1, 200, .9)};
    QVERIFY(near(train::openimages_ap(set).ap, .5));
    // A second detection on a box that is taken may still lie in a group.
    set.truth = {square(1, 20), group(1, 0, 100)};
    set.detections = {square(1, 20, .9), square(1, 20, .5)};
    QVERIFY(near(train::openimages_ap(set).ap, 1));
  }

  // The label 2 is neither true nor verified in picture 1: detections there do not count. Verified
  // as absent in picture 3, its detection is a false alarm that comes first.
  void only_judged_labels_count() {
    OpenImagesSet set;
    set.truth = {square(1, 0), square(2, 0, 0, 2)};
    set.detections = {
        square(1, 0, .9), square(1, 0, .8, 2), square(2, 0, .5, 2), square(3, 0, .95, 2)};
    auto figures = train::openimages_ap(set);
    QVERIFY(near(figures.by_label[1], 1) && near(figures.by_label[2], 1));
    set.verified = {{3, 2}};
    figures = train::openimages_ap(set);
    QVERIFY(near(figures.by_label[2], .5));
    QVERIFY(near(figures.ap, .75));
  }

  void odd_sets() {
    QCOMPARE(train::openimages_ap({}).ap, -1.0);
    OpenImagesSet set;
    set.truth = {square(1, 0)};
    QCOMPARE(train::openimages_ap(set).ap, 0.0);
    set.detections = {square(1, 0, .9)};
    set.detections[0].x2 = set.detections[0].x1;  // without area
    QCOMPARE(train::openimages_ap(set).ap, 0.0);
    // Of two true boxes that it overlaps alike the first is taken; the other stays missed.
    set.truth = {square(1, 0), square(1, 0)};
    set.detections = {square(1, 0, .9), square(1, 0, .8)};
    QVERIFY(near(train::openimages_ap(set).ap, .5));
  }

  // The cases of TensorFlow's oid_hierarchical_labels_expansion: d stands under c and under f, the
  // root is left out.
  void a_class_may_stand_in_several_places() {
    const DataFolder folder;
    folder.write("tree.json", kTree);
    const train::LabelHierarchy tree(folder.path("tree.json"));
    QVERIFY(tree.above("b").empty());
    QVERIFY((tree.above("d") == std::set<std::string>{"c", "f"}));
    QVERIFY((tree.below("c") == std::set<std::string>{"d", "e"}));
    QVERIFY((tree.below("f") == std::set<std::string>{"d"}));
    QVERIFY(tree.knows("e") && !tree.knows("/m/entity") && tree.above("z").empty());
    folder.write("bad.json", replaced(kTree, "\"LabelName\": \"b\"", "\"Name\": \"b\""));
    QVERIFY(
        contains(sentence_of<DataError>([&] { train::LabelHierarchy(folder.path("bad.json")); }),
                 "Subcategory[0]: no LabelName"));
    std::string deep;
    for (int i = 0; i < 5000; ++i) {
      deep += R"({"LabelName": "a", "Subcategory": [)";
    }
    folder.write("deep.json", deep);
    QVERIFY(
        contains(sentence_of<DataError>([&] { train::LabelHierarchy(folder.path("deep.json")); }),
                 "nested more than 200 deep"));
  }

  // d is found as d alone: its parents c and f are missed, unless detections are expanded. e,
  // verified as absent through its parent c in picture 2, has a false alarm there.
  void files_are_expanded_by_the_hierarchy() {
    const DataFolder folder;
    folder.write("tree.json", kTree);
    folder.write("truth.csv",
                 "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n1,d,0,.5,0,1,0\n1,e,.5,1,0,1,0\n"
                 "2,b,0,1,0,1,0\n");
    folder.write("labels.csv", "ImageID,LabelName,Confidence\n2,c,0\n");
    folder.write("found.csv",
                 "ImageID,LabelName,Score,XMin,XMax,YMin,YMax\n1,d,.9,0,.5,0,1\n1,e,.5,.5,1,0,1\n"
                 "2,e,.8,0,1,0,1\n");
    train::OpenImagesFiles files{folder.path("truth.csv"),
                                 folder.path("found.csv"),
                                 folder.path("labels.csv"),
                                 folder.path("tree.json")};
    const auto figure = [&files](const char* label) {
      const train::OpenImagesInput input = train::read_openimages_files(files);
      const auto at = std::find(input.labels.begin(), input.labels.end(), label);
      return train::openimages_ap(input.set).by_label.at(at - input.labels.begin());
    };
    QVERIFY(near(figure("d"), 1));
    QVERIFY(near(figure("e"), .5));
    QVERIFY(near(figure("b"), 0));
    QVERIFY(near(figure("c"), 0) && near(figure("f"), 0));
    files.expand_detections = true;
    // c: hits .9 and .5, between them the false alarm .8 that picture 2 is judged for: 1/2 + 1/3.
    QVERIFY(near(figure("f"), 1));
    QVERIFY(near(figure("c"), .5 + .5 * 2 / 3));
    files.image_labels.clear();
    files.hierarchy.clear();
    QVERIFY(near(figure("e"), 1));
    folder.write("found.csv", "ImageID,LabelName,Score,XMin,XMax,YMin,YMax\n7,d,.9,0,.5,0,1\n");
    QVERIFY(contains(sentence_of<DataError>([&] { train::read_openimages_files(files); }),
                     "found.csv', line 2: the truth has no picture '7'"));
  }
};

BATCHSCOPE_TEST(TestDataOpenImages)
#include "tst_data_openimages.moc"
