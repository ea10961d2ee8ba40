#include "engine/contract/error.h"
#include "engine/data/annotated_sets.h"
#include "engine/data/coco_dataset.h"
#include "engine/data/make_dataset.h"
#include "engine/data/name_list.h"
#include "engine/data/picture_header.h"
#include "engine/data/voc_annotation.h"
#include "engine/data/voc_dataset.h"
#include "tests/support/corners.h"
#include "tests/support/data_folder.h"
#include "tests/support/test_program.h"

#include <algorithm>
#include <tuple>

using namespace batchscope;
using contract::DataError;

namespace {

std::string object(const std::string& name, const std::string& box, const std::string& more = {}) {
  return "<object><name>" + name + "</name>" + more + "<bndbox>" + box + "</bndbox></object>\n";
}

std::string corner_tags(int xmin, int ymin, int xmax, int ymax) {
  const auto tag = [](const char* name, int v) {
    return std::string("<") + name + ">" + std::to_string(v) + "</" + name + ">";
  };
  return tag("xmin", xmin) + tag("ymin", ymin) + tag("xmax", xmax) + tag("ymax", ymax);
}

std::string annotation(const std::string& file, const std::string& objects) {
  return "<annotation>\n<filename>" + file +
         "</filename>\n<size><width>40</width><height>30</height><depth>3</depth></size>\n" +
         objects + "</annotation>\n";
}

/// Two pictures of 40x30: a dog with a <part>, a difficult cat, a box that ends before it begins;
/// and a picture called otherwise than its annotation, with a cat of one pixel.
void fill(const DataFolder& folder) {
  folder.picture("JPEGImages/a.png", 40, 30);
  folder.picture("JPEGImages/other.png", 40, 30);
  folder.write(
      "Annotations/a.xml",
      "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- a remark -->\n" +
          annotation("wrong.png",
                     object("dog",
                            corner_tags(3, 4, 10, 20),
                            "<part><name>head</name><bndbox><xmin>x</xmin></bndbox></part>") +
                         object("cat", corner_tags(1, 1, 40, 30), "<difficult>1</difficult>") +
                         object("dog", corner_tags(9, 9, 8, 12), "<difficult>0</difficult>")));
  folder.write("Annotations/b.xml",
               annotation("other.png", object(" cat\n", corner_tags(5, 6, 5, 6))));
  folder.write("Annotations/notes.txt", "not an annotation");
  folder.write("ImageSets/Main/train.txt", "a  1\n\n");
  folder.write("ImageSets/Main/val.txt", "b -1\n");
}

contract::RunSpec spec_of(const DataFolder& folder) {
  contract::RunSpec spec;
  spec.data.kind = "voc";
  spec.data.annotations = folder.path("Annotations");
  spec.data.images = folder.path("JPEGImages");
  return spec;
}

/// What is said when a.xml has `from` replaced.
std::string error_with(const std::string& from, const std::string& to) {
  const DataFolder folder;
  fill(folder);
  std::ifstream in(folder.path("Annotations/a.xml"));
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  folder.write("Annotations/a.xml", replaced(text, from, to));
  return sentence_of<DataError>([&] { train::make_training_set(spec_of(folder)); });
}

}  // namespace

class TestDataVoc : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void encodings_of_older_tools_are_read() {
    const DataFolder folder;
    const auto name_in = [&folder](const std::string& encoding, const std::string& name) {
      folder.write("a.xml",
                   "<?xml version=\"1.0\" encoding=\"" + encoding + "\"?>\n" +
                       annotation("a.png", object(name, corner_tags(1, 1, 2, 2))));
      return train::read_voc_annotation(folder.path("a.xml")).objects.at(0).name;
    };
    QCOMPARE(name_in("windows-1252", "bl\xe5 \x80"), std::string("bl\u00e5 \u20ac"));
    QCOMPARE(name_in("GBK", "\xb9\xb7"), std::string("\u72d7"));
    QCOMPARE(name_in("Shift_JIS", "\x8c\xa2"), std::string("\u72ac"));
    const std::string said = sentence_of<DataError>([&] { name_in("klingon", "a"); });
    QVERIFY2(contains(said, "a.xml', line 1, ") &&
                 contains(said, "the encoding 'klingon' is not known; expected one of iconv's"),
             said.c_str());
    QVERIFY(contains(sentence_of<DataError>([&] { name_in("GBK", "\xb9"); }), "not valid XML"));
  }

  void corners_count_from_one_and_include_the_last() {
    const DataFolder folder;
    fill(folder);
    const auto set = train::make_training_set(spec_of(folder));
    QCOMPARE(set->size(), 2);
    QVERIFY((set->classes() == std::vector<std::string>{"cat", "dog"}));
    QCOMPARE(set->things(), 2);
    QCOMPARE(set->category_id(2), 2);
    QCOMPARE(set->image_id(1), 2);
    const train::Sample a = set->get(0), b = set->get(1);
    QCOMPARE(a.name, std::string("a.png"));
    QCOMPARE(b.name, std::string("other.png"));
    QVERIFY(torch::equal(a.boxes, corners({2, 3, 10, 20})));
    QVERIFY(torch::equal(a.labels, torch::tensor(std::vector<std::int64_t>{2})));
    QVERIFY(torch::equal(b.boxes, corners({4, 5, 5, 6})));  // one pixel is a box
    QCOMPARE(set->stored(0)->path, folder.path("JPEGImages/a.png"));
    QCOMPARE(set->stored(0)->width, 40);
  }

  void difficult_objects_are_ignored_not_trained() {
    const DataFolder folder;
    fill(folder);
    const auto truth = train::make_training_set(spec_of(folder))->truth(0);
    QCOMPARE(truth.size(), std::size_t{3});
    QVERIFY(!truth[0].crowd && truth[1].crowd && !truth[2].crowd);
    QCOMPARE(truth[0].w, 8.0);
    QCOMPARE(truth[0].area, 8.0 * 17);
    QCOMPARE(truth[1].area, 1200.0);
  }

  void warnings_say_what_is_left_out() {
    const DataFolder folder;
    fill(folder);
    const auto warnings = train::make_training_set(spec_of(folder))->warnings();
    QCOMPARE(warnings.size(), std::size_t{1});
    QCOMPARE(warnings[0],
             std::string("1 box without area left out of training, the first in 'a.png'."));
  }

  void lists_choose_and_validation_has_the_training_sets_labels() {
    const DataFolder folder;
    fill(folder);
    contract::RunSpec spec = spec_of(folder);
    QVERIFY(train::make_validation_set(spec) == nullptr);
    spec.data.list = folder.path("ImageSets/Main/train.txt");
    spec.data.val_list = folder.path("ImageSets/Main/val.txt");
    contract::validate(spec);
    const auto training = train::make_training_set(spec);
    QCOMPARE(training->size(), 1);
    for (const auto& given : {training, std::shared_ptr<const train::Dataset>()}) {
      const auto validation = train::make_validation_set(spec, given);
      QCOMPARE(validation->size(), 1);
      QCOMPARE(validation->truth(0)[0].label, 1);
      QCOMPARE(validation->classes().size(), std::size_t{2});
    }
    std::swap(spec.data.list, spec.data.val_list);  // the cat's picture has no dog
    QCOMPARE(sentence_of<DataError>([&] { train::make_validation_set(spec); }),
             "The annotation file '" + folder.path("Annotations/a.xml") +
                 "' has the class 'dog', which the training annotations do not have.");
  }

  void names_in_lists_may_have_blanks() {
    const DataFolder folder;
    const auto names = [&folder](const char* text) {
      folder.write("list.txt", text);
      return train::read_name_list(folder.path("list.txt"));
    };
    using Names = std::vector<std::string>;
    QVERIFY((names("a b  1\r\n c\t-1\nd 1 0\n") == Names{"a b", "c", "d 1"}));
    // Not every line has a flag: these are names.
    QVERIFY((names("scan 0\nscan 1\nscan 2") == Names{"scan 0", "scan 1", "scan 2"}));
    QVERIFY((names("a  1\nb -2\n") == Names{"a  1", "b -2"}));
    QVERIFY((names("1\n0\n-1\n") == Names{"1", "0", "-1"}));
    QVERIFY((names("\xef\xbb\xbf"
                   "a\n") == Names{"a"}));
    folder.picture("JPEGImages/my dog.png", 40, 30);
    folder.write("Annotations/my dog.xml",
                 annotation("my dog.png", object("dog", corner_tags(1, 1, 9, 9))));
    folder.write("list.txt", "my dog\n");
    contract::RunSpec spec = spec_of(folder);
    spec.data.list = folder.path("list.txt");
    QCOMPARE(train::make_training_set(spec)->get(0).name, std::string("my dog.png"));
  }

  void pictures_without_objects_can_be_left_out() {
    const DataFolder folder;
    fill(folder);
    folder.picture("JPEGImages/c.png", 40, 30);
    folder.write(
        "Annotations/c.xml",
        annotation("c.png", object("cow", corner_tags(1, 1, 9, 9), "<difficult>1</difficult>")));
    contract::RunSpec spec = spec_of(folder);
    spec.data.val_annotations = spec.data.annotations;
    QCOMPARE(train::make_training_set(spec)->size(), 3);
    spec.data.skip_empty = true;
    contract::validate(spec);
    const auto training = train::make_training_set(spec);
    QCOMPARE(training->size(), 2);
    QCOMPARE(training->classes().size(), std::size_t{3});  // the labels do not depend on it
    QCOMPARE(train::make_validation_set(spec, training)->size(), 3);
  }

  void checksum_covers_annotations_and_list() {
    const DataFolder folder;
    fill(folder);
    contract::RunSpec spec = spec_of(folder);
    const std::string all = train::make_training_set(spec)->checksum();
    QCOMPARE(train::make_training_set(spec)->checksum(), all);
    spec.data.list = folder.path("ImageSets/Main/train.txt");
    QVERIFY(train::make_training_set(spec)->checksum() != all);
    spec.data.list.clear();
    folder.write("Annotations/b.xml",
                 annotation("other.png", object("cat", corner_tags(5, 6, 5, 7))));
    QVERIFY(train::make_training_set(spec)->checksum() != all);
  }

  void errors_name_file_and_place_data() {
    const DamageRows row;
    row("cut off", "</annotation>", "", "not valid XML: no element found");
    row("wrong nesting",
        "</filename>",
        "</size>",
        "line 4, column 22: not valid XML: mismatched tag");
    row("another root",
        "<annotation>",
        "<annotations>",
        "line 3, column 1: expected the element <annotation>, found <annotations>");
    row("no name", "<name>dog</name>", "", "object 1 has no <name>");
    row("empty name", "<name>dog</name>", "<name> </name>", "object 1 has no <name>");
    row("no box", "<bndbox><xmin>1<", "<box><xmin>1<", "mismatched tag");
    row("no corner", "<ymax>30</ymax>", "", "the <bndbox> of object 2 has no <ymax>");
    row("text for a number",
        "<xmin>3</xmin>",
        "<xmin>three</xmin>",
        "<xmin>: expected a number of pixels, found 'three'");
    row("no number", "<xmin>3</xmin>", "<xmin>nan</xmin>", "<xmin>: expected a number of pixels");
    row("endless", "<ymax>20</ymax>", "<ymax>inf</ymax>", "<ymax>: expected a number of pixels");
    row("no size",
        "<width>40</width>",
        "<width>nan</width>",
        "<width>: expected a number of pixels, found 'nan'");
    row("size is text", "<width>40</width>", "<width>wide</width>", "<width>: expected a number");
    row("endless entity", "<!-- a remark -->", "<!DOCTYPE a [<!ENTITY b \"&b;\">]>", "a.xml");
  }
  void errors_name_file_and_place() {
    const Damage damage = Damage::fetch();
    if (QTest::currentDataTag() == QByteArray("endless entity")) {
      // Declared and never used: no harm. Used it must end.
      const std::string error = error_with("wrong.png", "&b;");
      QVERIFY2(contains(error, "undefined entity"), error.c_str());
      return;
    }
    const std::string error = error_with(damage.from, damage.to);
    QVERIFY2(contains(error, damage.said), error.c_str());
    QVERIFY2(contains(error, "/Annotations/a.xml', line "), error.c_str());
  }

  void missing_files_are_named() {
    const DataFolder folder;
    fill(folder);
    contract::RunSpec spec = spec_of(folder);
    const auto said = [&spec] {
      return sentence_of<DataError>([&] { train::make_training_set(spec); });
    };
    folder.write("list.txt", "a\nzebra\n");
    spec.data.list = folder.path("list.txt");
    QVERIFY2(contains(said(), "list.txt' names 'zebra', but the folder '"), said().c_str());
    QVERIFY(contains(said(), "has no 'zebra.xml'"));
    folder.write("list.txt", "\n");
    QVERIFY(contains(said(), "list.txt' has no names"));
    spec.data.list = folder.path("none.txt");
    QVERIFY(contains(said(), "none.txt' cannot be opened"));
    spec.data.list.clear();
    std::filesystem::remove(folder.path("JPEGImages/other.png"));
    QVERIFY2(contains(said(), "names 1 picture of 2 that the folder '"), said().c_str());
    QVERIFY(contains(said(), "the first is 'other.png'"));
    spec.data.annotations = folder.path("JPEGImages");
    QVERIFY(contains(said(), "has no XML file"));
    spec.data.annotations = folder.path("nowhere");
    QVERIFY(contains(said(), "The annotation folder '"));
    QVERIFY(contains(sentence_of<DataError>(
                         [&] { train::read_voc_annotation(folder.path("Annotations/c.xml")); }),
                     "c.xml' cannot be opened: No such file"));
  }

  void picture_of_another_size_is_an_error() {
    const DataFolder folder;
    fill(folder);
    folder.picture("JPEGImages/a.png", 41, 30);
    const auto set = train::make_training_set(spec_of(folder));
    const std::string said = sentence_of<DataError>([&] { set->get(0); });
    QVERIFY2(contains(said, "a.png' has 41x30 pixels") && contains(said, "expects 40x30"),
             said.c_str());
  }

  void headers_of_pictures() {
    const std::string pictures = BATCHSCOPE_FIXTURES "/engine/pictures/";
    for (const char* name : {"rgb.jpg", "grey.jpg", "rgb.png"}) {
      const train::PictureHeader header = train::read_picture_header(pictures + name);
      QCOMPARE(header.width, 21);
      QCOMPARE(header.height, 14);
    }
    const DataFolder folder;
    folder.write("empty.jpg", "");
    folder.write("text.jpg", "not a picture at all, but text");
    folder.write("cut.jpg", std::string("\xff\xd8\xff\xe0\x00\x10JFIF", 10));
    folder.write("cut.png", "\x89PNG\r\n\x1a\n");
    const auto said = [&folder](const char* name) {
      return sentence_of<DataError>([&] { train::read_picture_header(folder.path(name)); });
    };
    QVERIFY(contains(said("empty.jpg"), "empty.jpg' is an empty file"));
    QVERIFY(contains(said("text.jpg"), "is neither a JPEG nor a PNG"));
    QVERIFY(contains(said("cut.jpg"), "ends before its size is said"));
    QVERIFY(contains(said("cut.png"), "has no header"));
    QVERIFY(contains(said("none.png"), "does not exist"));
  }

  // instances_*.json of the same pictures have x = xmin, w = xmax - xmin: corners from 0, the last
  // left out. So ours begin a pixel earlier and are a pixel wider and higher.
  void boxes_of_the_real_files() {
    const std::string folder = shared_data() + "/bccd";
    if (!std::filesystem::exists(folder)) {
      QSKIP("the shared data (bccd) is not here");
    }
    const train::PictureSet voc(train::read_voc({folder + "/voc", folder + "/images", "", {}}));
    QCOMPARE(voc.size(), 8);
    QVERIFY((voc.classes() == std::vector<std::string>{"Platelets", "RBC", "WBC"}));
    using Row = std::tuple<std::string, std::string, double, double, double, double>;
    std::vector<Row> ours, theirs;
    std::set<std::string> names;
    for (std::int64_t i = 0; i < voc.size(); ++i) {
      const train::Sample sample = voc.get(i);
      names.insert(sample.name);
      QCOMPARE(sample.image.size(2), 640);
      for (const train::TruthBox& t : voc.truth(i)) {
        const std::string& name = voc.classes()[static_cast<std::size_t>(t.label - 1)];
        ours.emplace_back(sample.name, name, t.x + 1, t.y + 1, t.w - 1, t.h - 1);
      }
    }
    for (const char* part : {"train", "val", "test"}) {
      const train::CocoDataset coco(
          {.annotations = folder + "/instances_" + part + ".json", .images = folder + "/images"});
      for (std::int64_t i = 0; i < coco.size(); ++i) {
        const std::string name = coco.get(i).name;
        for (const train::TruthBox& t : coco.truth(i)) {
          if (names.contains(name)) {
            theirs.emplace_back(
                name, coco.classes()[static_cast<std::size_t>(t.label - 1)], t.x, t.y, t.w, t.h);
          }
        }
      }
    }
    std::sort(ours.begin(), ours.end());
    std::sort(theirs.begin(), theirs.end());
    QCOMPARE(ours.size(), std::size_t{143});
    QVERIFY(ours == theirs);
  }
};

BATCHSCOPE_TEST(TestDataVoc)
#include "tst_data_voc.moc"
