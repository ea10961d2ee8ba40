#include "engine/contract/error.h"
#include "engine/data/coco_annotations.h"
#include "engine/data/loader.h"
#include "engine/data/make_dataset.h"
#include "engine/metrics/coco_files.h"
#include "engine/train/eval_block.h"
#include "tests/support/coco_file.h"
#include "tests/support/corners.h"
#include "tests/support/test_program.h"

#include <algorithm>

using namespace batchscope;
using train::CocoDataset;
using train::CocoOptions;

namespace {

contract::RunSpec spec_of(const std::string& train, const std::string& val) {
  contract::RunSpec spec;
  spec.data.kind = "coco";
  spec.data.annotations = train;
  spec.data.images = kPictures;
  spec.data.val_annotations = val;
  return spec;
}

}  // namespace

class TestDataCoco : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void gapped_ids_become_labels() {
    const JsonFile file(kSmallCoco);
    const CocoDataset set({.annotations = file.path(), .images = kPictures});
    QCOMPARE(set.size(), 3);
    QVERIFY((set.classes() == std::vector<std::string>{"train", "dog", "toothbrush"}));
    QCOMPARE(set.category_id(1), 7);
    QCOMPARE(set.category_id(2), 18);
    QCOMPARE(set.category_id(3), 90);
    QCOMPARE(set.image_id(0), 30);
    QCOMPARE(set.image_id(1), 10);
    QCOMPARE(set.image_id(2), 20);
  }

  /// Tools write paths of Windows and URLs; file systems change capitals and the Unicode form.
  void names_that_the_folder_has_otherwise_are_told() {
    const DataFolder folder;
    folder.picture("p0.png", 4, 4);
    folder.picture("b\u00fcro.png", 4, 4);
    folder.picture("sub dir/p1.png", 4, 4);
    const auto hint = [&folder](const std::string& name) {
      const std::string said = error_of(R"({"images": [{"id": 1, "file_name": ")" + name + R"("}],
        "annotations": [], "categories": [{"id": 1, "name": "a"}]})",
                                        {.images = folder.path()});
      const std::size_t at = said.find(" The folder has");
      return at == std::string::npos ? "none in: " + said : said.substr(at);
    };
    const auto is = [](const std::string& file, const std::string& why) {
      return " The folder has '" + file + "': " + why + ".";
    };
    const std::string windows = "the names are paths of Windows", url = "the names are URLs";
    QCOMPARE(hint(R"(images\\p0.png)"), is("p0.png", windows));
    QCOMPARE(hint(R"(..\\..\\upload\\4\\p0.png)"), is("p0.png", windows));
    QCOMPARE(hint("/data/local-files/?d=images%5Cp0.png"), is("p0.png", url));
    QCOMPARE(hint("https://a.b/c/p0.png"), is("p0.png", url));
    QCOMPARE(hint("sub%20dir/p1.png"), is("sub dir/p1.png", url));
    QCOMPARE(hint("images/p0.png"), is("p0.png", "the names have folders that are not below it"));
    QCOMPARE(hint("P0.PNG"), is("p0.png", "the names differ in capitals"));
    QCOMPARE(hint("bu\u0308ro.png"),
             is("b\u00fcro.png", "the names are of another Unicode form (NFC, NFD)"));
    QVERIFY(hint("p2.png").starts_with("none in: The annotation file '"));
    QVERIFY(hint("buro.png").starts_with("none"));
  }

  void boxes_to_train_on() {
    const JsonFile file(kSmallCoco);
    const CocoDataset set({.annotations = file.path(), .images = kPictures});
    const train::Sample first = set.get(0), empty = set.get(1), third = set.get(2);
    QCOMPARE(first.name, std::string("rgb.jpg"));
    QCOMPARE(first.id, 30);
    QCOMPARE(first.image.sizes(), (std::vector<std::int64_t>{3, 14, 21}));
    QVERIFY(torch::equal(first.boxes, corners({2, 3, 7, 9, 15, 10, 21, 14})));
    QVERIFY(torch::equal(first.labels, torch::tensor(std::vector<std::int64_t>{3, 2})));
    QCOMPARE(empty.boxes.sizes(), (std::vector<std::int64_t>{0, 4}));
    QCOMPARE(empty.labels.sizes(), (std::vector<std::int64_t>{0}));
    QCOMPARE(empty.labels.scalar_type(), torch::kInt64);
    QVERIFY(torch::equal(third.boxes, corners({0.5, 1.5, 10.75, 5.5, 3, 3, 7, 7})));
  }

  void truth_is_everything_the_evaluator_needs() {
    const JsonFile file(kSmallCoco);
    const CocoDataset set({.annotations = file.path(), .images = kPictures});
    const auto truth = set.truth(0);
    QCOMPARE(truth.size(), std::size_t{6});
    QCOMPARE(truth[0].area, 21.5);
    QCOMPARE(truth[0].label, 3);
    QVERIFY(truth[2].crowd && !truth[0].crowd);
    QCOMPARE(truth[3].w, 9.0);
    QVERIFY(set.truth(1).empty());
    QCOMPARE(set.truth(2)[0].area, 41.0);
    QCOMPARE(set.truth(2)[1].area, 16.0);
    QVERIFY(!set.truth(2)[1].crowd);
  }

  /// COCO's evaluator takes a match with annotation 0 for none: a training's figures are those of
  /// `metrics`, and both say so.
  void annotation_0_is_never_matched() {
    std::vector<double> precision;
    for (const char* id : {"1", "0"}) {
      const JsonFile file(replaced(
          kSmallCoco, R"("id": 1, "image_id")", std::string("\"id\": ") + id + R"(, "image_id")"));
      const CocoDataset set({.annotations = file.path(), .images = kPictures});
      const bool zero = *id == '0';
      QCOMPARE(set.truth(0)[0].unmatched, zero);
      QVERIFY(!set.truth(0)[1].unmatched);
      const auto says = [](const std::string& w) { return w.find("of id 0") != std::string::npos; };
      QCOMPARE(std::ranges::any_of(set.warnings(), says), zero);
      train::EvalBlock block;
      block.boxes = true;
      for (const train::TruthBox& t : set.truth(0)) {
        block.objects.push_back({set.image_id(0), set.category_id(t.label), t.x, t.y, t.w, t.h, 1});
      }
      train::CocoInput input = train::read_coco_truth(file.path(), false);
      input.set.detections = block.objects;
      const auto figures = train::score_blocks(set, set.size(), {block});
      QVERIFY(figures == train::coco_metrics(input.set).metrics);
      precision.push_back(figures.at("AP50"));
    }
    QVERIFY(precision[1] < precision[0]);
  }

  void warnings_say_what_was_left_out() {
    const JsonFile file(kSmallCoco);
    const CocoDataset set({.annotations = file.path(), .images = kPictures});
    QStringList found;
    for (const std::string& warning : set.warnings()) {
      found << QString::fromStdString(warning);
    }
    const QString all = found.join(QLatin1Char('\n'));
    QVERIFY2(all.contains(QLatin1String("3 boxes without area left out of training, the first in "
                                        "'rgb.jpg'.")),
             qPrintable(all));
    QVERIFY(all.contains(QLatin1String("1 picture has no box to train on.")));
    QVERIFY(all.contains(QLatin1String("1 annotation names an image id")));
    QVERIFY(all.contains(QLatin1String("1 annotation names a category id")));
    QCOMPARE(found.size(), 4);
  }

  void pictures_can_be_left_out() {
    const JsonFile file(kSmallCoco);
    const CocoDataset two({.annotations = file.path(), .images = kPictures, .max_pictures = 2});
    QCOMPARE(two.size(), 2);
    const CocoDataset filled({.annotations = file.path(), .images = kPictures, .skip_empty = true});
    QCOMPARE(filled.size(), 2);
    QCOMPARE(filled.image_id(1), 20);
    QVERIFY(two.checksum() != filled.checksum());
  }

  void a_spec_leaves_empty_pictures_out_of_training_alone() {
    const JsonFile file(kSmallCoco);
    contract::RunSpec spec = spec_of(file.path(), file.path());
    spec.data.val_images = kPictures;
    spec.data.skip_empty = true;
    contract::validate(spec);
    const auto training = train::make_training_set(spec);
    QCOMPARE(training->size(), 2);
    const auto warnings = training->warnings();
    QVERIFY(std::count(warnings.begin(),
                       warnings.end(),
                       "1 picture without a box to train on left out of training.") == 1);
    spec.data.max_pictures = 2;  // of those that are left
    QCOMPARE(train::make_training_set(spec)->image_id(1), 20);
    QCOMPARE(train::make_validation_set(spec, training)->size(), 3);
    QCOMPARE(train::make_validation_set(spec)->size(), 3);
    const JsonFile boxless(R"({"images": [{"id": 1, "file_name": "rgb.jpg"}],
      "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 0, 5]}],
      "categories": [{"id": 1, "name": "a"}]})");
    spec.data.annotations = boxless.path();
    QCOMPARE(sentence_of<contract::DataError>([&] { train::make_training_set(spec); }),
             "The annotation file '" + boxless.path() +
                 "' has no picture with a box to train on, and data.skip_empty leaves the others "
                 "out.");
    spec.data.skip_empty = false;
    QCOMPARE(train::make_training_set(spec)->size(), 1);
    contract::RunSpec drawn;
    drawn.data.skip_empty = true;
    QVERIFY(contains(sentence_of<contract::SpecError>([&] { contract::validate(drawn); }),
                     "data.skip_empty does not go with data.kind"));
  }

  // As torchvision and pycocotools do; docs/data.md says so.
  void file_names_lead_where_they_say() {
    const JsonFile file(R"({"images": [{"id": 1, "file_name": ")" + kPictures + R"(/rgb.jpg"},
        {"id": 2, "file_name": "../pictures/rgb.png"}],
      "annotations": [], "categories": [{"id": 1, "name": "a"}]})");
    const CocoDataset set({.annotations = file.path(), .images = kPictures});
    QCOMPARE(set.get(0).image.size(2), 21);
    QCOMPARE(set.get(1).image.size(2), 21);
    QVERIFY(contains(error_of(replaced(kSmallCoco, "grey.jpg", "../grey.jpg")),
                     "the first is '../grey.jpg'"));
  }

  // FNV-1a of the bytes "{…}" followed by each file name and its zero, done in Python.
  void checksum_covers_annotations_and_pictures() {
    const JsonFile file(kSmallCoco), longer(std::string(kSmallCoco) + "\n");
    const CocoDataset a({.annotations = file.path(), .images = kPictures});
    const CocoDataset b({.annotations = longer.path(), .images = kPictures});
    const std::string names("rgb.jpg\0grey.jpg\0rgb.png\0", 25);
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : std::string(kSmallCoco) + names) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    }
    QCOMPARE(QString::fromStdString(a.checksum()),
             QStringLiteral("%1").arg(hash, 16, 16, QLatin1Char('0')));
    QVERIFY(a.checksum() != b.checksum());
  }

  void errors_name_file_entry_and_place_data() {
    const DamageRows row;
    row("comma missing",
        "\"images\": [\n",
        "\"images\" [\n",
        "not valid JSON at line 2, column 10");
    row("cut off", ",\n  {\"id\": 18, \"name\": \"dog\"}]}", "", "unexpected end of input");
    row("three numbers", "[2, 3, 5, 6]", "[2, 3, 5]", "annotations[0].bbox: expected four numbers");
    row("five numbers", "[2, 3, 5, 6]", "[2, 3, 5, 6, 7]", "annotations[0].bbox[4]: expected four");
    row("text in a box",
        "[4, 4, 0, 5]",
        "[4, \"4\", 0, 5]",
        "annotations[1].bbox[1]: expected four");
    row("no box", "\"bbox\": [4, 4, 0, 5], ", "", "annotations[1]: no bbox");
    row("box is null", "[4, 4, 0, 5]", "null", "annotations[1]: no bbox");
    row("id is text",
        "\"image_id\": 20",
        "\"image_id\": \"20\"",
        "line 10, column 24 (byte 527): annotations[2].image_id: expected a whole number");
    row("id is broken",
        "\"category_id\": 90",
        "\"category_id\": 9.5",
        "annotations[0].category_id: expected a whole number");
    row("name is a number", "\"rgb.png\"", "5", "images[2].file_name: expected a text");
    row("no name", ", \"name\": \"dog\"", "", "categories[2]: no name");
    row("list is an object",
        "\"licenses\": [],",
        "\"licenses\": [], \"images\": {},",
        "images: expected a list");
    row("entry is a number",
        "{\"id\": 18, \"name\": \"dog\"}",
        "18",
        "categories[2]: expected an object");
    row("image twice",
        "\"id\": 10, \"file_name\"",
        "\"id\": 30, \"file_name\"",
        "image id 30 twice");
    row("category twice", "\"id\": 18, \"name\"", "\"id\": 7, \"name\"", "category id 7 twice");
    row("no annotations", "\"annotations\"", "\"others\"", "no list 'annotations'");
    row("picture missing", "\"grey.jpg\"", "\"gone.jpg\"", "the first is 'gone.jpg'");
  }
  void errors_name_file_entry_and_place() {
    const Damage damage = Damage::fetch();
    const std::string error = error_of(damage.in(kSmallCoco));
    QVERIFY2(contains(error, damage.said), error.c_str());
    QVERIFY2(contains(error, "a.json'"), error.c_str());
  }

  void whole_file_errors() {
    const std::string latin1 = error_of(replaced(kSmallCoco, "\"dog\"", "\"h\xfcnd\""));
    QVERIFY(latin1.find("ill-formed UTF-8") != std::string::npos);
    QVERIFY(std::all_of(latin1.begin(), latin1.end(), [](char c) { return (c & 0x80) == 0; }));
    const std::string huge = error_of(replaced(kSmallCoco, "21.5", "1e999"));
    QVERIFY(huge.find("): number overflow") != std::string::npos);
    QVERIFY(error_of("").find("not valid JSON") != std::string::npos);
    QVERIFY(error_of("[]").find("expected an object") != std::string::npos);
    QVERIFY(error_of("7").find("expected an object") != std::string::npos);
    QVERIFY(error_of("{}").find("no list 'images'") != std::string::npos);
    QVERIFY(error_of(R"({"images":[],"annotations":[],"categories":[{"id":1,"name":"a"}]})")
                .find("no pictures") != std::string::npos);
    QVERIFY(
        error_of(R"({"images":[{"id":1,"file_name":"rgb.jpg"}],"annotations":[],"categories":[]})")
            .find("no categories") != std::string::npos);
    QVERIFY(error_of(kSmallCoco, {.images = "/nowhere"}).find("'/nowhere' cannot be read") !=
            std::string::npos);
    QVERIFY_THROWS_EXCEPTION(contract::DataError, train::read_coco_annotations("/nowhere/a.json"));
    QVERIFY_THROWS_EXCEPTION(contract::DataError, train::read_coco_annotations("/"));
  }

  void picture_of_another_size_is_an_error() {
    const JsonFile file(replaced(kSmallCoco, "\"width\": 21", "\"width\": 22"));
    const CocoDataset set({.annotations = file.path(), .images = kPictures});
    const std::string said = sentence_of<contract::DataError>([&] { set.get(0); });
    QVERIFY2(contains(said, "rgb.jpg' has 21x14 pixels") && contains(said, "22x14"), said.c_str());
    QVERIFY(set.get(2).image.defined());
  }

  void corrupt_picture_comes_out_of_the_loader() {
    QTemporaryDir folder;
    for (const char* name : {"rgb.jpg", "grey.jpg", "rgb.png"}) {
      QFile source(QString::fromStdString(kPictures + "/" + name));
      QVERIFY(source.open(QIODevice::ReadOnly));
      QByteArray bytes = source.readAll();
      QFile copy(folder.filePath(QString::fromLatin1(name)));
      QVERIFY(copy.open(QIODevice::WriteOnly));
      copy.write(std::string(name) == "grey.jpg" ? bytes.left(bytes.size() / 2) : bytes);
    }
    const JsonFile file(kSmallCoco);
    const auto set = std::make_shared<CocoDataset>(
        CocoOptions{.annotations = file.path(), .images = folder.path().toStdString()});
    train::TransformOptions transform;
    transform.input.mean = transform.input.std = {0.5, 0.5, 0.5};
    train::Loader loader(set, 1, transform, 1);
    loader.announce(train::plan_step(0, 3, 1, 3, 0, 1));
    int errors = 0;
    for (int i = 0; i < 3; ++i) {
      try {
        loader.next();
      } catch (const contract::DataError& e) {
        ++errors;
        QVERIFY(std::string(e.what()).find("grey.jpg' is a damaged JPEG") != std::string::npos);
      }
    }
    QCOMPARE(errors, 1);
  }

  void validation_labels_are_the_training_sets() {
    const JsonFile training(kSmallCoco);
    const JsonFile validation(
        R"({"images": [{"id": 1, "file_name": "rgb.jpg"}],
            "annotations": [{"image_id": 1, "category_id": 18, "bbox": [1, 1, 5, 5]}],
            "categories": [{"id": 18, "name": "dog"}]})");
    const contract::RunSpec spec = spec_of(training.path(), validation.path());
    const auto train_set = train::make_training_set(spec);
    for (const auto& given : {train_set, std::shared_ptr<const train::Dataset>()}) {
      const auto set = train::make_validation_set(spec, given);
      QCOMPARE(set->classes().size(), std::size_t{3});
      QCOMPARE(set->truth(0)[0].label, 2);
      QCOMPARE(set->category_id(2), 18);
    }
    contract::RunSpec alone = spec;
    alone.data.annotations.clear();
    QCOMPARE(train::make_validation_set(alone)->truth(0)[0].label, 1);
    alone.data.val_annotations.clear();
    QVERIFY(train::make_validation_set(alone) == nullptr);
    const JsonFile other(R"({"images": [{"id": 1, "file_name": "rgb.jpg"}],
            "annotations": [], "categories": [{"id": 18, "name": "cat"}]})");
    QVERIFY_THROWS_EXCEPTION(contract::DataError,
                             train::make_validation_set(spec_of(training.path(), other.path())));
  }

  void spec_keys_are_named() {
    const auto field_of = [](const contract::RunSpec& spec) -> std::string {
      try {
        train::make_training_set(spec);
      } catch (const contract::SpecError& e) {
        return e.field();
      }
      return {};
    };
    contract::RunSpec spec = spec_of("", "");
    QCOMPARE(field_of(spec), std::string("data.annotations"));
    spec.data.annotations = "a.json";
    spec.data.images.clear();
    QCOMPARE(field_of(spec), std::string("data.images"));
    const JsonFile boxes(R"({"images": [{"id": 1, "file_name": "rgb.jpg"}],
        "annotations": [{"image_id": 1, "category_id": 18, "bbox": [1, 1, 5, 5]}],
        "categories": [{"id": 18, "name": "dog"}]})");
    spec = spec_of(boxes.path(), "");
    QCOMPARE(field_of(spec), std::string());
    spec.model.name = "tiny_semantic_fpn";  // boxes are no classes of pixels
    QCOMPARE(field_of(spec), std::string("data.kind"));
    spec.data.kind = "csv";
    QCOMPARE(field_of(spec), std::string("data.kind"));
  }

  // Counts of the files, taken with Python's json module.
  void real_sets() {
    const std::string folder = shared_data();
    if (!QFileInfo::exists(QString::fromStdString(folder))) {
      QSKIP("the shared data (bccd, coco64) is not here");
    }
    const CocoDataset bccd(
        {.annotations = folder + "/bccd/instances_train.json", .images = folder + "/bccd/images"});
    QCOMPARE(bccd.size(), 205);
    QVERIFY((bccd.classes() == std::vector<std::string>{"RBC", "WBC", "Platelets"}));
    std::size_t boxes = 0;
    for (std::int64_t i = 0; i < bccd.size(); ++i) {
      boxes += bccd.truth(i).size();
    }
    QCOMPARE(boxes, std::size_t{2804});
    const CocoDataset coco({.annotations = folder + "/coco64/instances_val.json",
                            .images = folder + "/coco64/images_val"});
    QCOMPARE(coco.size(), 64);
    QCOMPARE(coco.classes().size(), std::size_t{80});
    QCOMPARE(coco.category_id(12), 13);
    std::int64_t crowds = 0, kept = 0;
    for (std::int64_t i = 0; i < coco.size(); ++i) {
      for (const auto& t : coco.truth(i)) {
        crowds += t.crowd ? 1 : 0;
      }
      const train::Sample sample = coco.get(i);
      kept += sample.boxes.size(0);
      QVERIFY((sample.boxes.numel() == 0 ||
               (sample.boxes.slice(1, 2) - sample.boxes.slice(1, 0, 2)).min().item<float>() > 0));
    }
    QCOMPARE(crowds, 4);
    QCOMPARE(kept, 439);
  }
};

BATCHSCOPE_TEST(TestDataCoco)
#include "tst_data_coco.moc"
