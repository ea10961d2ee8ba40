#include "engine/contract/error.h"
#include "engine/data/data_check.h"
#include "engine/data/make_dataset.h"
#include "tests/support/coco_file.h"
#include "tests/support/test_program.h"

#include <algorithm>

using namespace batchscope;
using contract::DataError;
using train::DataReport;

namespace {

std::string box(
    const std::string& name, int x, int y, int right, int bottom, bool difficult = false) {
  return "<object><name>" + name + "</name><difficult>" + (difficult ? "1" : "0") +
         "</difficult><bndbox><xmin>" + std::to_string(x) + "</xmin><ymin>" + std::to_string(y) +
         "</ymin><xmax>" + std::to_string(right) + "</xmax><ymax>" + std::to_string(bottom) +
         "</ymax></bndbox></object>";
}

void annotate(const DataFolder& folder, const std::string& stem, const std::string& boxes) {
  folder.write(
      "xml/" + stem + ".xml",
      "<annotation><size><width>200</width><height>100</height></size>" + boxes + "</annotation>");
}

/// Three pictures of 200x100 px: a (dog 10x10 twice, dog of 50x50, cat difficult), b (dog 150x90
/// and one without area), c without a box; all of one content.
void fill(const DataFolder& folder) {
  for (const char* stem : {"a", "b", "c"}) {
    folder.picture(std::string("images/") + stem + ".png", 200, 100);
  }
  annotate(folder,
           "a",
           box("dog", 1, 1, 10, 10) + box("dog", 1, 1, 10, 10) + box("dog", 101, 1, 150, 50) +
               box("cat", 1, 1, 100, 100, true));
  annotate(folder, "b", box("dog", 1, 1, 150, 90) + box("dog", 5, 5, 4, 9));
  annotate(folder, "c", "");
}

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A JPEG of 21x14 px whose Exif data give this orientation.
std::string turned_jpeg(char orientation) {
  std::string jpeg = content_of(BATCHSCOPE_FIXTURES "/engine/pictures/rgb.jpg");
  std::string exif(
      "\xff\xe1\x00\x22"
      "Exif\0\0II*\0\x08\0\0\0\x01\0"
      "\x12\x01\x03\0\x01\0\0\0?\0\0\0\0\0\0\0",
      36);
  exif[exif.find('?')] = orientation;
  return jpeg.insert(2, exif);
}

contract::RunSpec spec_of(const DataFolder& folder) {
  contract::RunSpec spec;
  spec.data.kind = "voc";
  spec.data.annotations = folder.path("xml");
  spec.data.images = folder.path("images");
  return spec;
}

DataReport report_of(const DataFolder& folder, bool decode = true, unsigned threads = 1) {
  return train::check_data(
      *train::make_training_set(spec_of(folder)),
      {.decode = decode, .max_pictures = 0, .threads = threads, .progress = {}});
}

const train::Finding* find(const DataReport& report, const std::string& kind) {
  const auto found = std::find_if(report.findings.begin(),
                                  report.findings.end(),
                                  [&](const train::Finding& f) { return f.kind == kind; });
  return found == report.findings.end() ? nullptr : &*found;
}

}  // namespace

class TestDataCheck : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void everything_is_counted() {
    const DataFolder folder;
    fill(folder);
    const DataReport report = report_of(folder);
    QVERIFY(report.ok());
    QCOMPARE(report.pictures, 3);
    QCOMPARE(report.looked_at, 3);
    QCOMPARE(report.boxes, 4);
    QCOMPARE(report.crowds, 1);
    QCOMPARE(report.no_area, 1);
    QCOMPARE(report.pictures_without_boxes, 1);
    QVERIFY(report.small == 2 && report.medium == 1 && report.large == 1);
    QCOMPARE(report.widths->median, 200.0);
    QCOMPARE(report.heights->greatest, 100.0);
    QCOMPARE(report.sides->least, 10.0);
    QCOMPARE(report.sides->median, 30.0);  // of 10, 10, 50 and 116
    QVERIFY(report.per_picture->least == 0 && report.per_picture->greatest == 3);
    QCOMPARE(report.classes.size(), std::size_t{2});
    QVERIFY(report.classes[0].name == "cat" && report.classes[0].crowds == 1);
    QVERIFY(report.classes[1].boxes == 4 && report.classes[1].pictures == 2);
  }

  void odd_things_are_warnings() {
    const DataFolder folder;
    fill(folder);
    annotate(folder, "c", box("dog", 150, 50, 260, 90));
    const DataReport report = report_of(folder);
    QVERIFY(report.ok());
    QCOMPARE(find(report, "repeated_boxes")->count, 1);
    QCOMPARE(find(report, "outside")->sentence,
             std::string("1 box reaches out of its picture: in 'c.png'."));
    QCOMPARE(find(report, "same_content")->count, 2);
    QVERIFY(contains(find(report, "same_content")->sentence, "the first: 'b.png' is 'a.png'."));
    QVERIFY(find(report, "unused_classes") == nullptr);
    QVERIFY(contains(find(report, "crowd_classes")->sentence, "1 class has crowd regions alone"));
    QVERIFY(contains(find(report, "crowd_classes")->sentence, ": cat."));
    QVERIFY(contains(find(report, "annotations")->sentence, "1 box without area"));
    QVERIFY(find(report, "unusable_pictures") == nullptr);
    folder.write("list.txt", "a\nb\na\n");
    contract::RunSpec spec = spec_of(folder);
    spec.data.list = folder.path("list.txt");
    const DataReport listed = train::check_data(*train::make_training_set(spec), {});
    QCOMPARE(find(listed, "repeated_pictures")->count, 1);
  }

  // Tools for masks write iscrowd 1 for every object; nothing of it would be trained on.
  void crowds_alone_are_told() {
    const DataFolder folder;
    fill(folder);
    annotate(folder, "b", box("cat", 1, 1, 20, 20, true));
    const DataReport report = report_of(folder);
    QVERIFY(report.ok());
    QCOMPARE(find(report, "crowd_classes")->sentence,
             std::string("1 class has crowd regions alone (iscrowd, difficult or group-of), which "
                         "nothing is trained on: cat."));
    QVERIFY(find(report, "unused_classes") == nullptr);
    annotate(folder, "a", box("dog", 1, 1, 10, 10, true));
    const std::string voc = sentence_of<DataError>([&] { report_of(folder); });
    QVERIFY2(contains(voc,
                      "each of its 2 objects is difficult (difficult 1): nothing to train on or to "
                      "measure by."),
             voc.c_str());
    const std::string coco = error_of(R"({"images": [{"id": 1, "file_name": "rgb.jpg"}],
      "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "iscrowd": 1}],
      "categories": [{"id": 1, "name": "red"}]})");
    QVERIFY2(
        contains(coco, "its only object is a crowd (iscrowd 1): nothing to train on or to measure"),
        coco.c_str());
  }

  void masks_that_are_not_there_are_told() {
    const JsonFile file(R"({"images": [{"id": 1, "file_name": "rgb.jpg"}],
      "annotations": [
        {"image_id": 1, "category_id": 1, "bbox": [2, 3, 4, 2],
         "segmentation": [[2, 3, 6, 3, 6, 5, 2, 5]]},
        {"image_id": 1, "category_id": 1, "bbox": [2, 3, 4, 2],
         "segmentation": [[-12, -3, -6, -3, -6, -5, -12, -5]]},
        {"image_id": 1, "category_id": 1, "bbox": [12, 8, 4, 2],
         "segmentation": [[2, 3, 6, 3, 6, 5, 2, 5]]}],
      "categories": [{"id": 1, "name": "red"}]})");
    for (const bool decode : {true, false}) {
      const DataReport report = train::check_data(
          train::CocoDataset({.annotations = file.path(), .images = kPictures, .masks = true}),
          {.decode = decode, .max_pictures = 0, .threads = 1, .progress = {}});
      QVERIFY(report.ok());
      const train::Finding *empty = find(report, "empty_masks"),
                           *apart = find(report, "masks_apart");
      QVERIFY(empty != nullptr && apart != nullptr && empty->count == 1 && apart->count == 1);
      QVERIFY2(empty->sentence.starts_with("1 mask has no pixel in its picture: in '") &&
                   empty->sentence.ends_with("rgb.jpg'."),
               empty->sentence.c_str());
      QVERIFY2(apart->sentence.starts_with("1 mask does not meet its box: in '"),
               apart->sentence.c_str());
    }
  }

  void damaged_files_are_errors() {
    const DataFolder folder;
    fill(folder);
    std::ifstream in(folder.path("images/b.png"), std::ios::binary);
    const std::string whole((std::istreambuf_iterator<char>(in)), {});
    folder.write("images/b.png", whole.substr(0, whole.size() - 30));
    folder.write("images/c.png", "");
    const DataReport report = report_of(folder);
    QVERIFY(!report.ok());
    QCOMPARE(report.findings.front().kind, std::string("unusable_pictures"));
    QCOMPARE(report.findings.front().count, 2);
    const std::string& said = report.findings.front().sentence;
    QVERIFY2(contains(said, "2 pictures cannot be used, the first: The picture '") &&
                 contains(said, "b.png' is a damaged PNG file"),
             said.c_str());
    // The headers tell of the empty file alone.
    const DataReport quick = report_of(folder, false);
    QCOMPARE(quick.findings.front().count, 1);
    QVERIFY(contains(quick.findings.front().sentence, "c.png' is an empty file"));
  }

  void a_damaged_picture_says_whose_it_is() {
    const DataFolder folder;
    fill(folder);
    const std::string png = content_of(folder.path("images/b.png"));
    const std::string jpeg = content_of(BATCHSCOPE_FIXTURES "/engine/pictures/rgb.jpg");
    folder.write("images/b.png", png.substr(0, png.size() - 30));
    folder.write("images/c.jpg", jpeg.substr(0, jpeg.size() / 2));
    contract::RunSpec spec = spec_of(folder);
    spec.data.val_annotations = spec.data.annotations;
    const auto training = train::make_training_set(spec);
    const auto validation = train::make_validation_set(spec, training);
    for (const bool trains : {true, false}) {
      const train::Dataset& set = trains ? *training : *validation;
      const std::string whose = trains ? " (of the training set)." : " (of the validation set).";
      const std::string second = sentence_of<DataError>([&] { set.get(1); });
      const std::string third = sentence_of<DataError>([&] { set.get(2); });
      QVERIFY2(contains(second, "images/b.png' is a damaged PNG file: "), second.c_str());
      QVERIFY2(contains(third, "images/c.jpg' is a damaged JPEG file: "), third.c_str());
      for (const std::string& said : {second, third}) {
        QVERIFY2(
            said.starts_with("The picture '") && said.ends_with(whose) && !contains(said, "\n"),
            said.c_str());
      }
    }
  }

  void a_damaged_label_picture_says_whose_it_is() {
    const DataFolder folder;
    folder.png("maps/a.png", 2, 2, {0, 1, 1, 3});
    folder.picture("images/a.png", 2, 2);
    contract::RunSpec spec;
    spec.data.kind = "ade20k";
    spec.model.name = "tiny_semantic_fpn";
    spec.data.annotations = folder.path("maps");
    spec.data.images = folder.path("images");
    folder.write("names.txt", "a\nb\nc\n");
    spec.data.classes = folder.path("names.txt");
    const std::string png = content_of(folder.path("maps/a.png"));
    const auto set = train::make_training_set(spec);
    folder.write("maps/a.png", png.substr(0, png.size() - 20));
    for (const std::string& said :
         {sentence_of<DataError>([&] { set->get(0); }),
          sentence_of<DataError>([&] { set->semantic_truth(0); }),
          sentence_of<DataError>([&] { train::make_training_set(spec); })}) {
      QVERIFY2(contains(said, "The label picture '") &&
                   contains(said, "maps/a.png' is a damaged PNG file: ") &&
                   said.ends_with(" (of the training set)."),
               said.c_str());
    }
  }

  void orientations_are_counted() {
    const DataFolder folder;
    for (const auto& [stem, orientation] : {std::pair{"a", 1}, {"b", 6}, {"c", 3}}) {
      folder.write(std::string("images/") + stem + ".jpg",
                   turned_jpeg(static_cast<char>(orientation)));
      folder.write(std::string("xml/") + stem + ".xml",
                   "<annotation>" + box("dog", 1, 1, 10, 10) + "</annotation>");
    }
    for (const bool decode : {true, false}) {
      const DataReport report = report_of(folder, decode);
      QVERIFY(report.ok());
      const train::Finding* found = find(report, "orientation");
      QVERIFY(found != nullptr);
      QCOMPARE(found->count, 2);
      QVERIFY2(found->sentence.starts_with(
                   "2 pictures have an Exif orientation, which is not applied, the first: '") &&
                   found->sentence.ends_with("b.jpg' (6)."),
               found->sentence.c_str());
      QCOMPARE(report.widths->greatest, 21.0);  // as stored
    }
  }

  void sizes_are_compared() {
    const DataFolder folder;
    fill(folder);
    folder.picture("images/b.png", 200, 101);
    for (const bool decode : {true, false}) {
      const DataReport report = report_of(folder, decode);
      QVERIFY(!report.ok());
      QVERIFY2(contains(report.findings.front().sentence, "b.png' has 200x101 pixels"),
               report.findings.front().sentence.c_str());
    }
  }

  void the_report_does_not_depend_on_threads() {
    const DataFolder folder;
    fill(folder);
    const DataReport one = report_of(folder), four = report_of(folder, true, 4);
    QVERIFY(one.paths == four.paths && one.content == four.content);
    QCOMPARE(one.findings.size(), four.findings.size());
    for (std::size_t i = 0; i < one.findings.size(); ++i) {
      QCOMPARE(one.findings[i].sentence, four.findings[i].sentence);
    }
  }

  void progress_counts_up() {
    const DataFolder folder;
    fill(folder);
    std::vector<std::int64_t> done;
    train::check_data(*train::make_training_set(spec_of(folder)),
                      {.decode = true,
                       .max_pictures = 2,
                       .threads = 2,
                       .progress = [&](std::int64_t n, std::int64_t total) {
                         done.push_back(n);
                         QCOMPARE(total, 2);
                       }});
    QVERIFY((done == std::vector<std::int64_t>{1, 2}));
  }

  void pixels_of_maps_are_counted() {
    const DataFolder folder;
    folder.png("maps/a.png", 2, 2, {0, 1, 1, 3});
    folder.picture("images/a.png", 2, 2);
    contract::RunSpec spec;
    spec.data.kind = "ade20k";
    spec.model.name = "tiny_semantic_fpn";
    spec.data.annotations = folder.path("maps");
    spec.data.images = folder.path("images");
    const DataReport report = train::check_data(*train::make_training_set(spec), {});
    QVERIFY(report.ok() && report.findings.empty());
    QVERIFY(report.classes[0].pixels == 2 && report.classes[0].pictures == 1);
    QVERIFY(report.classes[1].pixels == 0 && report.classes[1].pictures == 0);
    QVERIFY(report.classes[2].pixels == 1);
    QCOMPARE(report.pictures_without_boxes, 0);  // there are no things
  }

  void a_launch_stops_at_errors_and_says_warnings() {
    const DataFolder folder;
    fill(folder);
    contract::RunSpec spec = spec_of(folder);
    folder.write("val.txt", "a\n");
    spec.data.val_list = folder.path("val.txt");
    const auto training = train::make_training_set(spec);
    const auto validation = train::make_validation_set(spec, training);
    const auto warnings = train::preflight(*training, validation.get());
    QVERIFY(std::any_of(warnings.begin(), warnings.end(), [](const std::string& w) {
      return contains(w, "Training data: 1 box comes twice: in '");
    }));
    QVERIFY(std::any_of(warnings.begin(), warnings.end(), [](const std::string& w) {
      return contains(w, "1 validation picture is a training picture: '");
    }));
    QVERIFY(std::none_of(warnings.begin(), warnings.end(), [](const std::string& w) {
      return contains(w, "Training data: 1 box without area");  // the set itself says that
    }));
    folder.write("images/b.png", "no picture at all, but text of some length");
    const std::string said =
        sentence_of<DataError>([&] { train::preflight(*training, validation.get()); });
    QVERIFY2(said.starts_with("Training data: 1 picture cannot be used: The picture '"),
             said.c_str());
    QVERIFY(train::preflight(*train::make_training_set({}), nullptr).empty());  // drawn
  }
};

BATCHSCOPE_TEST(TestDataCheck)
#include "tst_data_check.moc"
