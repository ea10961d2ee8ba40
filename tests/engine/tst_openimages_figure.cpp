#include "engine/contract/error.h"
#include "engine/data/make_dataset.h"
#include "engine/metrics/openimages_files.h"
#include "engine/train/eval_block.h"
#include "tests/support/data_folder.h"
#include "tests/support/test_program.h"

#include <cmath>
#include <random>
#include <utility>

using namespace batchscope;
using contract::DataError;

namespace {

// d stands under c and under f.
const char* const kTree = R"({"LabelName": "/m/entity", "Subcategory": [
  {"LabelName": "b"},
  {"LabelName": "c", "Subcategory": [{"LabelName": "d"}, {"LabelName": "e"}]},
  {"LabelName": "f", "Subcategory": [{"LabelName": "d"}]}]})";
const char* const kTruthHeader = "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n";
const char* const kLabelsHeader = "ImageID,LabelName,Confidence\n";
constexpr double kWidth = 64, kHeight = 32;  // of measured pictures, px
const char* const kFoundHeader = "ImageID,LabelName,Score,XMin,XMax,YMin,YMax\n";

/// A detection as a model gives it, in shares of the picture's sides.
struct Found {
  std::string image, label;
  double score = 0, x1 = 0, x2 = 0, y1 = 0, y2 = 0;
};

/// Files of a validation set in `folder`: classes d, e, b under names of their own.
contract::RunSpec measured_spec(const DataFolder& folder, int pictures) {
  for (int id = 1; id <= pictures; ++id) {
    folder.picture("images/" + std::to_string(id) + ".png", 64, 32);
  }
  folder.write("tree.json", kTree);
  folder.write("names.csv", "e,Elk\nd,Dog\nb,Bat\n");
  contract::RunSpec spec;
  spec.data.kind = "openimages";
  spec.data.images = folder.path("images");
  spec.data.classes = folder.path("names.csv");
  spec.data.annotations = spec.data.val_annotations = folder.path("truth.csv");
  spec.data.hierarchy = folder.path("tree.json");
  spec.data.val_image_labels = folder.path("labels.csv");
  return spec;
}

std::string rows_of(const std::vector<Found>& found) {
  std::string rows = kFoundHeader;
  for (const Found& f : found) {
    rows += f.image + "," + f.label;
    for (const double number : {f.score, f.x1, f.x2, f.y1, f.y2}) {
      rows += "," + QString::number(number, 'g', 17).toStdString();
    }
    rows += "\n";
  }
  return rows;
}

/// What `metrics --type openimages` gives for the detections.
double figure_of_files(const DataFolder& folder, const contract::RunSpec& spec) {
  const train::OpenImagesInput input = train::read_openimages_files({folder.path("truth.csv"),
                                                                     folder.path("found.csv"),
                                                                     spec.data.val_image_labels,
                                                                     spec.data.hierarchy});
  return train::openimages_ap(input.set).ap;
}

/// The figure of an evaluation that finds them in blocks of two pictures, the last block first.
double figure_of_run(const contract::RunSpec& spec,
                     const std::vector<Found>& found,
                     std::int64_t pictures = 0) {
  const auto set = train::make_validation_set(spec);
  const std::map<std::string, std::int64_t> labels = {{"e", 1}, {"d", 2}, {"b", 3}};
  std::vector<train::EvalBlock> blocks;
  pictures = pictures > 0 ? pictures : set->size();
  for (std::int64_t i = 0; i < pictures; ++i) {
    train::FoundObjects objects;
    const std::string name = set->get(i).name;
    for (const Found& f : found) {
      if (f.image + ".png" == name) {
        objects.objects.push_back({set->image_id(i),
                                   set->category_id(labels.at(f.label)),
                                   f.x1 * kWidth,
                                   f.y1 * kHeight,
                                   (f.x2 - f.x1) * kWidth,
                                   (f.y2 - f.y1) * kHeight,
                                   f.score});
      }
    }
    if (i % 2 == 0) {
      blocks.insert(blocks.begin(), train::EvalBlock{.number = i / 2});
    }
    blocks.front().add(*set, i, std::move(objects));
  }
  std::vector<train::EvalBlock> gathered;
  train::unpack(train::pack(blocks), gathered);
  return train::score_blocks(*set, pictures, std::move(gathered)).at("OpenImages_AP50");
}

/// Boxes with corners on a grid of 16, so that shares and pixels are both exact.
struct Grid {
  std::mt19937 random{7};
  int below(int bound) { return int(random() % unsigned(bound)); }
  std::pair<double, double> side() {
    const int from = below(12), to = from + 3 + below(16 - from - 3);
    return {from / 16.0, to / 16.0};
  }
  std::string label() { return std::string(1, "deb"[below(3)]); }
};

bool near(double found, double expected) {
  return std::abs(found - expected) < 1e-12;
}

}  // namespace

/// OpenImages_AP50 of a run's evaluation, against the same detections in files.
class TestOpenImagesFigure : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  // d hit; e one false alarm before its hit, in a picture that is judged
  // through c; b, and the parents c and f, missed. Without the tree or the labels less is judged.
  void a_run_has_the_figure_by_hand() {
    const DataFolder folder;
    contract::RunSpec spec = measured_spec(folder, 2);
    folder.write("truth.csv",
                 kTruthHeader + std::string("1,d,0,.5,0,1,0\n1,e,.5,1,0,1,0\n2,b,0,1,0,1,0\n"));
    folder.write("labels.csv", kLabelsHeader + std::string("2,c,0\n9,b,1\n"));
    const std::vector<Found> found = {
        {"1", "d", .9, 0, .5, 0, 1}, {"1", "e", .5, .5, 1, 0, 1}, {"2", "e", .8, 0, 1, 0, 1}};
    folder.write("found.csv", rows_of(found));
    contract::validate(spec);
    QVERIFY(near(figure_of_run(spec, found), (1 + .5 + 0 + 0 + 0) / 5));
    QVERIFY(near(figure_of_run(spec, found), figure_of_files(folder, spec)));
    QVERIFY(near(figure_of_run(spec, found, 1), (1 + 1 + 0 + 0) / 4.0));  // the first picture
    folder.write("labels.csv", kLabelsHeader + std::string("2,e,0\n"));
    spec.data.hierarchy.clear();
    QVERIFY(near(figure_of_run(spec, found), (1 + .5 + 0) / 3));
    spec.data.val_image_labels.clear();
    QVERIFY(near(figure_of_run(spec, found), 2.0 / 3));
    // A group-of box takes all that lies in it for one hit.
    folder.write("truth.csv", kTruthHeader + std::string("2,e,0,1,0,1,1\n1,d,0,.5,0,1,0\n"));
    const std::vector<Found> inside = {{"2", "e", .8, 0, .25, 0, 1}, {"2", "e", .7, .5, 1, 0, 1}};
    QVERIFY(near(figure_of_run(spec, inside), .5));
  }

  void a_run_has_the_figure_of_the_command() {
    const DataFolder folder;
    const int pictures = 9;
    contract::RunSpec spec = measured_spec(folder, pictures);
    Grid grid;
    std::string truth = kTruthHeader;
    std::string labels = kLabelsHeader;
    std::vector<Found> found;
    for (int i = 0; i < 200; ++i) {
      const bool true_one = i % 5 == 0;  // every picture has some, of two classes
      const int number = 1 + (true_one ? i / 5 % pictures : grid.below(pictures));
      const std::string image = std::to_string(number);
      const std::string label =
          true_one ? std::string(1, "deb"[(number + 1 + grid.below(2)) % 3]) : grid.label();
      const auto [x1, x2] = grid.side();
      const auto [y1, y2] = grid.side();
      if (true_one) {
        truth += image + "," + label;
        for (const double corner : {x1, x2, y1, y2}) {
          truth += "," + QString::number(corner).toStdString();
        }
        truth += i % 3 == 0 ? ",1\n" : ",0\n";
      }
      found.push_back({image, label, .999 - i * .001, x1, std::min(1.0, x2 + .0625), y1, y2});
    }
    // The third class was looked for, and is not there.
    for (int number = 1; number < pictures; ++number) {
      labels += std::to_string(number) + "," + "deb"[number % 3] + ",0\n";
    }
    folder.write("truth.csv", truth);
    folder.write("labels.csv", labels);
    folder.write("found.csv", rows_of(found));
    const double figure = figure_of_run(spec, found);
    QVERIFY(figure > .05 && figure < .95);
    QVERIFY(near(figure, figure_of_files(folder, spec)));
    const std::string tree = std::exchange(spec.data.hierarchy, "");
    QVERIFY(near(figure_of_run(spec, found), figure_of_files(folder, spec)));
    QVERIFY(std::abs(figure_of_run(spec, found) - figure) > 1e-3);
    spec.data.hierarchy = tree;
    spec.data.val_image_labels.clear();
    QVERIFY(near(figure_of_run(spec, found), figure_of_files(folder, spec)));
    QVERIFY(std::abs(figure_of_run(spec, found) - figure) > 1e-3);
  }

  // Only the validation set is measured: the training set does not read the files.
  void files_of_the_figure_are_checked() {
    const DataFolder folder;
    contract::RunSpec spec = measured_spec(folder, 1);
    folder.write("truth.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax\n1,d,0,.5,0,1\n");
    folder.write("labels.csv", kLabelsHeader + std::string("7,d,1\n1,z,1\n"));
    folder.write("names.csv", "d,Dog\nx,Yak\n");
    QVERIFY(train::make_training_set(spec)->warnings().empty());
    const auto warnings = train::make_validation_set(spec)->warnings();
    QCOMPARE(warnings.size(), std::size_t{3});
    QVERIFY(contains(warnings[0], "tree.json' lacks 1 of 2 classes, the first is 'x'."));
    QVERIFY(contains(warnings[1], "has 2 that the set has not, the first is 'c'"));
    QVERIFY(contains(warnings[2], "labels.csv' has no label of the set's pictures and classes."));
    folder.write("labels.csv", "ImageID,LabelName\n1,d\n");
    const auto said = [&spec] {
      return sentence_of<DataError>([&] { train::make_validation_set(spec); });
    };
    QVERIFY(contains(said(), "labels.csv', line 1: expected a column 'Confidence'"));
    spec.data.hierarchy = folder.path("none.json");
    QVERIFY(contains(said(), "none.json'"));
    const auto refused = [&spec] {
      return sentence_of<contract::SpecError>([&] { contract::validate(spec); });
    };
    spec.data.val_annotations.clear();
    QVERIFY(contains(refused(), "data.val_image_labels needs a validation set"));
    spec.data.classes.clear();
    spec.data.kind = "voc";
    QVERIFY(contains(refused(), "does not go with data.kind \"voc\"; it is of openimages"));
  }
};

BATCHSCOPE_TEST(TestOpenImagesFigure)
#include "tst_openimages_figure.moc"
