#include "engine/contract/error.h"
#include "engine/data/make_dataset.h"
#include "engine/data/panoptic_dataset.h"
#include "engine/data/semantic_dataset.h"
#include "tests/support/corners.h"
#include "tests/support/data_folder.h"
#include "tests/support/test_program.h"

#include <algorithm>

using namespace batchscope;
using contract::DataError;

namespace {

// One picture of 4x3 px: a dog (id 7) over two rows, a crowd of persons (300), sky (70000), void.
const std::vector<std::uint32_t> kMap = {7,
                                         7,
                                         70000,
                                         70000,  //
                                         7,
                                         0,
                                         70000,
                                         300,  //
                                         0,
                                         0,
                                         300,
                                         300};

// Gapped category ids, stuff between the things. The dog has no bbox and no area: the PNG has them.
const std::string kJson = R"({"images": [
  {"id": 5, "file_name": "five.png", "width": 4, "height": 3}, {"id": 9, "file_name": "gone.png"}],
 "annotations": [{"image_id": 5, "file_name": "a.png", "segments_info": [
  {"id": 70000, "category_id": 12, "area": 3, "bbox": [2, 0, 2, 2]},
  {"id": 300, "category_id": 40, "area": 3, "bbox": [2, 1, 2, 2], "iscrowd": 1},
  {"id": 7, "category_id": 18}]}],
 "categories": [{"id": 40, "name": "person", "isthing": 1}, {"id": 12, "name": "sky", "isthing": 0},
  {"id": 18, "name": "dog", "isthing": 1}]})";

void fill(const DataFolder& folder, const std::string& json = kJson) {
  folder.write("pan.json", json);
  folder.png("pan/a.png", 4, 3, kMap, true);
  folder.picture("images/five.png", 4, 3);
}

contract::RunSpec spec_of(const DataFolder& folder) {
  contract::RunSpec spec;
  spec.data.kind = "coco-panoptic";
  spec.data.annotations = folder.path("pan.json");
  spec.data.images = folder.path("images");
  spec.data.masks = true;
  return spec;
}

/// Two pictures of 3x2 px with labels 0…3.
void fill_semantic(const DataFolder& folder) {
  folder.png("labels/a.png", 3, 2, {0, 1, 1, 2, 2, 0});
  folder.png("labels/b.png", 3, 2, {3, 3, 3, 0, 1, 3});
  folder.picture("images/a.png", 3, 2);
  folder.picture("images/b.png", 3, 2);
}

contract::RunSpec semantic_spec(const DataFolder& folder) {
  contract::RunSpec spec;
  spec.data.kind = "ade20k";
  spec.model.name = "tiny_semantic_fpn";
  spec.data.annotations = folder.path("labels");
  spec.data.images = folder.path("images");
  return spec;
}

torch::Tensor int16(const std::vector<std::int16_t>& values, std::int64_t width) {
  return torch::tensor(values, torch::kInt16)
      .view({static_cast<std::int64_t>(values.size()) / width, width});
}

}  // namespace

class TestDataPanoptic : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void things_are_labelled_before_stuff() {
    const DataFolder folder;
    fill(folder);
    const auto set = train::make_training_set(spec_of(folder));
    QVERIFY((set->classes() == std::vector<std::string>{"dog", "person", "sky"}));
    QCOMPARE(set->things(), 2);
    QCOMPARE(set->category_id(1), 18);
    QCOMPARE(set->category_id(2), 40);
    QCOMPARE(set->category_id(3), 12);
    QCOMPARE(set->size(), 1);
    QCOMPARE(set->image_id(0), 5);
  }

  void a_picture_has_boxes_masks_and_a_map() {
    const DataFolder folder;
    fill(folder);
    const train::Sample sample = train::make_training_set(spec_of(folder))->get(0);
    QVERIFY(torch::equal(sample.boxes, corners({0, 0, 2, 2})));  // the crowd is not trained on
    QVERIFY(torch::equal(sample.labels, torch::tensor(std::vector<std::int64_t>{1})));
    QVERIFY(torch::equal(sample.masks,
                         torch::tensor(std::vector<int>{1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0})
                             .to(torch::kUInt8)
                             .view({1, 3, 4})));
    QVERIFY(torch::equal(sample.semantic, int16({1, 1, 3, 3, 1, 0, 3, 2, 0, 0, 2, 2}, 4)));
    contract::RunSpec spec = spec_of(folder);
    spec.data.masks = false;
    QVERIFY(!train::make_training_set(spec)->get(0).masks.defined());
    spec.model.name = "tiny_mask_rcnn";  // it needs masks, whatever data.masks says
    QVERIFY(train::make_training_set(spec)->get(0).masks.defined());
  }

  void models_that_need_more_than_a_kind_has_are_refused() {
    const DataFolder folder;
    fill_semantic(folder);
    contract::RunSpec spec = semantic_spec(folder);
    const auto said = [&spec] {
      return sentence_of<contract::SpecError>([&] { train::make_training_set(spec); });
    };
    spec.model.name = "tiny_faster_rcnn";
    QVERIFY2(contains(said(), "tiny_faster_rcnn needs boxes, which ade20k data"), said().c_str());
    spec.model.name = "tiny_panoptic_fpn";
    QVERIFY2(contains(said(), "ade20k data have no instance masks"), said().c_str());
    spec.data.kind = "voc";
    spec.model.name = "tiny_mask_rcnn";
    QVERIFY2(contains(said(), "voc data have no instance masks"), said().c_str());
  }

  void truth_of_every_kind() {
    const DataFolder folder;
    fill(folder);
    const auto set = train::make_training_set(spec_of(folder));
    const auto truth = set->truth(0);
    QCOMPARE(truth.size(), std::size_t{2});
    QVERIFY(truth[0].crowd && truth[0].label == 2 && truth[0].area == 3);
    QVERIFY(!truth[1].crowd && truth[1].label == 1 && truth[1].area == 3 && truth[1].w == 2);
    const auto masks = set->truth_masks(0);
    QVERIFY(masks.has_value());
    QCOMPARE(masks->size(), std::size_t{2});
    QVERIFY((train::rle_to_mask((*masks)[0]) ==
             std::vector<std::uint8_t>{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1}));
    QCOMPARE(train::rle_area((*masks)[1]), std::uint64_t{3});
    QVERIFY((set->semantic_truth(0)->labels ==
             std::vector<std::uint32_t>{1, 1, 3, 3, 1, 0, 3, 2, 0, 0, 2, 2}));
    const auto panoptic = set->panoptic_truth(0);
    QVERIFY(panoptic->map.labels == kMap);
    QCOMPARE(panoptic->segments.size(), std::size_t{3});
    QCOMPARE(panoptic->segments[0].category, 12);
    QVERIFY(panoptic->segments[1].crowd);
  }

  void checksum_covers_file_and_maps() {
    const DataFolder folder;
    fill(folder);
    const std::string before = train::make_training_set(spec_of(folder))->checksum();
    QCOMPARE(train::make_training_set(spec_of(folder))->checksum(), before);
    folder.png("pan/a.png", 4, 3, std::vector<std::uint32_t>(12, 7), true);
    QVERIFY(train::make_training_set(spec_of(folder))->checksum() != before);
  }

  void errors_name_what_is_wrong_data() {
    const DamageRows row;
    row("segment not listed", "\"id\": 300,", "\"id\": 301,", "a.png' has the segment 300");
    row("unknown category", "\"category_id\": 18", "\"category_id\": 19", "category 19");
    row("image not listed", "\"image_id\": 5", "\"image_id\": 6", "image id 6, which is not in");
    row("PNG missing", "\"a.png\"", "\"b.png\"", "names the PNG 'b.png', which the folder '");
    row("box of three",
        "[2, 0, 2, 2]",
        "[2, 0, 2]",
        "segments_info[0].bbox: expected four numbers");
    row("another size", "\"width\": 4", "\"width\": 5", "expects 5x3");
    row("no categories", "\"categories\"", "\"others\"", "which is not listed");
    row("picture missing", "five.png", "six.png", "the first is 'six.png'");
  }
  void errors_name_what_is_wrong() {
    const Damage damage = Damage::fetch();
    const DataFolder folder;
    fill(folder, damage.in(kJson));
    const std::string error =
        sentence_of<DataError>([&] { train::make_training_set(spec_of(folder))->get(0); });
    QVERIFY2(contains(error, damage.said), error.c_str());
  }

  // What is left out must not shift the maps against the pictures.
  void pictures_without_things_can_be_left_out() {
    const DataFolder folder;
    fill(folder);
    folder.png("pan/b.png", 2, 1, {9, 9}, true);
    folder.png("pan/c.png", 2, 1, {0, 3}, true);
    folder.picture("images/b.png", 2, 1);
    folder.picture("images/c.png", 2, 1);
    folder.write(
        "pan.json",
        replaced(replaced(kJson,
                          R"({"id": 9, "file_name": "gone.png"})",
                          R"({"id": 6, "file_name": "b.png"}, {"id": 7, "file_name": "c.png"})"),
                 R"({"id": 7, "category_id": 18}]}])",
                 R"({"id": 7, "category_id": 18}]},
       {"image_id": 6, "file_name": "b.png", "segments_info": [{"id": 9, "category_id": 12}]},
       {"image_id": 7, "file_name": "c.png", "segments_info": [{"id": 3, "category_id": 18}]}])"));
    contract::RunSpec spec = spec_of(folder);
    spec.data.val_annotations = spec.data.annotations;
    spec.data.skip_empty = true;
    contract::validate(spec);
    for (const std::int64_t most : {0, 2}) {
      spec.data.max_pictures = most;
      const auto set = train::make_training_set(spec);
      QCOMPARE(set->size(), 2);
      QCOMPARE(set->image_id(1), 7);
      const train::Sample sample = set->get(1);
      QVERIFY(torch::equal(sample.boxes, corners({1, 0, 2, 1})));
      QVERIFY(torch::equal(sample.semantic, int16({0, 1}, 2)));
      QCOMPARE(set->panoptic_truth(1)->segments[0].id, 3U);
      QCOMPARE(train::make_validation_set(spec, set)->size(), 3);
    }
  }

  void the_folder_of_the_maps_is_the_files_name() {
    QCOMPARE(train::panoptic_folder("", "a/pan.v2.json"), std::string("a/pan.v2"));
    QCOMPARE(train::panoptic_folder("", "a/pan.v2"), std::string("a/pan.v2"));
    QCOMPARE(train::panoptic_folder("maps", "a/pan.json"), std::string("maps"));
    const DataFolder folder;
    fill(folder);
    folder.write("pan.v2", kJson);
    contract::RunSpec spec = spec_of(folder);
    spec.data.annotations = folder.path("pan.v2");
    QVERIFY(contains(sentence_of<DataError>([&] { train::make_training_set(spec); }),
                     "The folder of panoptic PNGs '" + folder.path("pan.v2") + "'"));
  }

  void map_of_another_size_is_an_error() {
    const DataFolder folder;
    fill(folder, replaced(kJson, ", \"width\": 4, \"height\": 3", ""));
    folder.picture("images/five.png", 5, 3);
    const auto set = train::make_training_set(spec_of(folder));
    const std::string said = sentence_of<DataError>([&] { set->get(0); });
    QVERIFY2(contains(said, "pan/a.png' has 4x3 pixels; its picture 'five.png' has 5x3"),
             said.c_str());
  }

  void validation_has_the_training_sets_labels() {
    const DataFolder folder;
    fill(folder);
    // Fewer categories than the training set has.
    folder.write("val.json",
                 replaced(replaced(kJson, "\"category_id\": 40", "\"category_id\": 18"),
                          "{\"id\": 40, \"name\": \"person\", \"isthing\": 1}, ",
                          ""));
    contract::RunSpec spec = spec_of(folder);
    spec.data.val_annotations = folder.path("val.json");
    spec.data.val_segments = folder.path("pan");
    contract::validate(spec);
    for (const auto& given :
         {train::make_training_set(spec), std::shared_ptr<const train::Dataset>()}) {
      const auto set = train::make_validation_set(spec, given);
      QCOMPARE(set->classes().size(), std::size_t{3});
      QCOMPARE((*set->semantic_truth(0)).labels[2], 3U);
    }
    folder.write("val.json", replaced(kJson, "\"sky\"", "\"cloud\""));
    QVERIFY(contains(sentence_of<DataError>([&] { train::make_validation_set(spec); }),
                     "category 12 'cloud', which the training annotations do not have"));
  }

  void a_folder_of_labels_is_all_stuff() {
    const DataFolder folder;
    fill_semantic(folder);
    const auto set = train::make_training_set(semantic_spec(folder));
    QVERIFY((set->classes() == std::vector<std::string>{"class 1", "class 2", "class 3"}));
    QCOMPARE(set->things(), 0);
    QCOMPARE(set->size(), 2);
    const train::Sample sample = set->get(1);
    QCOMPARE(sample.name, std::string("b.png"));
    QCOMPARE(sample.boxes.sizes(), (std::vector<std::int64_t>{0, 4}));
    QVERIFY(torch::equal(sample.semantic, int16({3, 3, 3, 0, 1, 3}, 3)));
    QVERIFY((set->semantic_truth(0)->labels == std::vector<std::uint32_t>{0, 1, 1, 2, 2, 0}));
    QVERIFY(set->truth(0).empty() && !set->truth_masks(0) && !set->panoptic_truth(0));
    QVERIFY(set->warnings().empty());
  }

  void names_and_the_ignored_value() {
    const DataFolder folder;
    fill_semantic(folder);
    contract::RunSpec spec = semantic_spec(folder);
    folder.write("names.txt", "wall\n field corn \nsky, with clouds\ndoor\n");
    spec.data.classes = folder.path("names.txt");
    const auto named = train::make_training_set(spec);
    QCOMPARE(named->classes()[1], std::string("field corn"));
    QCOMPARE(named->category_id(4), 4);
    // With another value ignored the first name is that of value 0.
    spec.data.ignored_label = 3;
    const auto from_zero = train::make_training_set(spec);
    QCOMPARE(from_zero->category_id(1), 0);
    QVERIFY((from_zero->semantic_truth(1)->labels == std::vector<std::uint32_t>{0, 0, 0, 1, 2, 0}));
    // Ids of a JSON file are the values: gaps close.
    folder.write("names.json", R"([{"id": 3, "name": "c"}, {"id": 1, "name": "a"},
                                   {"id": 2, "name": "b"}, {"id": 200, "name": "z"}])");
    spec.data.ignored_label = 0;
    spec.data.classes = folder.path("names.json");
    const auto json = train::make_training_set(spec);
    QCOMPARE(json->category_id(4), 200);
    QVERIFY((json->semantic_truth(1)->labels == std::vector<std::uint32_t>{3, 3, 3, 0, 1, 3}));
    QVERIFY(json->checksum() != named->checksum());
  }

  void found_classes_do_not_depend_on_max_pictures() {
    const DataFolder folder;
    fill_semantic(folder);  // b alone has the value 3
    contract::RunSpec spec = semantic_spec(folder);
    const std::string all = train::make_training_set(spec)->checksum();
    spec.data.max_pictures = 1;
    spec.data.val_annotations = spec.data.annotations;
    const auto training = train::make_training_set(spec);
    QCOMPARE(training->size(), 1);
    QCOMPARE(training->classes().size(), std::size_t{3});
    QVERIFY(training->checksum() != all);
    for (const auto& given : {training, std::shared_ptr<const train::Dataset>()}) {
      const auto validation = train::make_validation_set(spec, given);
      QVERIFY(validation->classes() == training->classes());
      QCOMPARE(validation->size(), 2);
      QVERIFY(torch::equal(validation->get(1).semantic, int16({3, 3, 3, 0, 1, 3}, 3)));
    }
  }

  // The header and rows as ADE20K's files have them (a blank behind 22, at line ends).
  void ade20ks_table_names_the_classes() {
    const DataFolder folder;
    const auto read = [&folder](const std::string& table, std::uint32_t ignored = 0) {
      folder.write("table.txt", table);
      train::SemanticSetOptions options;
      options.names = folder.path("table.txt");
      options.ignored = ignored;
      return train::semantic_classes(options);
    };
    using Names = std::vector<std::string>;
    using Ids = std::vector<std::int64_t>;
    const std::string table =
        "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.1576\t11664\t1172\t1\twall\n"
        "2 \t0.1072\t6046\t612\t1\tbuilding, edifice\r\n3\t0.0198\t4688\t460\t0\tbed \n";
    QVERIFY((read(table).names == Names{"wall", "building", "bed"}));
    QVERIFY((read(table).ids == Ids{1, 2, 3}));
    QVERIFY((read(table, 255).ids == Ids{0, 1, 2}));
    QVERIFY((read("Idx\tRatio\tTrain\tVal\tName\n7\t0.1\t6\t2\tred wall\n").names ==
             Names{"red wall"}));
    QVERIFY((read("Idx,Ratio,Name\n1,0.1,wall\n2,0.1,pool;table\n").names ==
             Names{"wall", "pool;table"}));
    QVERIFY((read("index\nIdx\tName\n").names == Names{"index", "Idx\tName"}));  // a plain list
    for (const auto& [from, to] : {std::pair{"3\t0.0198", "2\t0.0198"},
                                   {"3\t0.0198", "three\t0.0198"},
                                   {"3\t0.0198", "99999\t0.0198"},
                                   {"\t460\t0\tbed ", "\t460\tbed"},
                                   {"building, edifice", ", edifice"}}) {
      const std::string damaged = replaced(table, from, to);
      const std::string said = sentence_of<DataError>([&] { read(damaged); });
      QVERIFY2(contains(said, "table.txt' has the row '") && contains(said, "expected 6 columns"),
               said.c_str());
    }
    fill_semantic(folder);
    folder.write("table.txt", table);
    contract::RunSpec spec = semantic_spec(folder);
    spec.data.classes = folder.path("table.txt");
    const auto set = train::make_training_set(spec);
    QCOMPARE(set->category_id(3), 3);
    QVERIFY(torch::equal(set->get(1).semantic, int16({3, 3, 3, 0, 1, 3}, 3)));
    folder.write("table.txt", "Idx\tName\n");
    QVERIFY(contains(sentence_of<DataError>([&] { train::make_training_set(spec); }),
                     "has no classes"));
  }

  void errors_of_label_folders() {
    const DataFolder folder;
    fill_semantic(folder);
    contract::RunSpec spec = semantic_spec(folder);
    const auto said = [&spec] {
      return sentence_of<DataError>([&] {
        const auto set = train::make_training_set(spec);
        for (std::int64_t i = 0; i < set->size(); ++i) {
          set->get(i);
        }
      });
    };
    folder.write("names.txt", "wall\nsky\n");
    spec.data.classes = folder.path("names.txt");
    QVERIFY2(contains(said(), "labels/b.png' has the value 3, which is none of the 2 classes"),
             said().c_str());
    spec.data.classes.clear();
    folder.write("list.txt", "a\nc\n");
    spec.data.list = folder.path("list.txt");
    QVERIFY2(contains(said(), "list.txt' names 'c', but the folder '"), said().c_str());
    spec.data.list.clear();
    folder.picture("images/b.png", 3, 3);
    QVERIFY2(contains(said(), "has 3x2 pixels; its picture 'b.png' has 3x3"), said().c_str());
    folder.write("labels/b.png", "no PNG");
    QVERIFY2(contains(said(), "labels/b.png' is no PNG file"), said().c_str());
    std::filesystem::remove(folder.path("images/b.png"));
    spec.data.classes = folder.path("names.txt");
    QVERIFY2(contains(said(), "the first is 'b.jpg'"), said().c_str());
    spec.data.annotations = folder.path("images/none");
    QVERIFY2(contains(said(), "The folder of label PNGs '"), said().c_str());
  }

  // Counts taken with Python's json module and PIL; instances of the same pictures have the boxes.
  void real_pictures() {
    const std::string folder = shared_data() + "/coco64";
    if (!std::filesystem::exists(folder)) {
      QSKIP("the shared data (coco64) is not here");
    }
    const train::PanopticDataset set({.annotations = folder + "/panoptic_val.json",
                                      .images = folder + "/images_val",
                                      .segments = "",
                                      .classes = {},
                                      .masks = true});
    QCOMPARE(set.classes().size(), std::size_t{133});
    QCOMPARE(set.things(), 80);
    const train::SemanticDataset semantic({.labels = folder + "/semantic_val",
                                           .images = folder + "/images_val",
                                           .list = "",
                                           .names = folder + "/panoptic_val.json"});
    QCOMPARE(semantic.size(), set.size());
    std::set<std::string> semantic_ids;
    std::int64_t segments = 0, boxes = 0;
    for (std::int64_t i = 0; i < set.size(); ++i) {
      segments += static_cast<std::int64_t>(set.panoptic_truth(i)->segments.size());
      const train::Sample sample = set.get(i);
      boxes += sample.boxes.size(0);
      QCOMPARE(sample.masks.size(0), sample.boxes.size(0));
      const auto truth = set.truth(i);
      const auto masks = *set.truth_masks(i);
      QCOMPARE(truth.size(), masks.size());
      for (std::size_t t = 0; t < truth.size(); ++t) {
        QCOMPARE(static_cast<double>(train::rle_area(masks[t])), truth[t].area);
        // A mask lies in its box, whose whole pixels it touches at every side.
        const auto rows = torch::from_blob(train::rle_to_mask(masks[t]).data(),
                                           {masks[t].height, masks[t].width},
                                           torch::kUInt8)
                              .clone();
        const auto ys = rows.sum(1).nonzero(), xs = rows.sum(0).nonzero();
        QCOMPARE(xs.min().item<double>(), truth[t].x);
        QCOMPARE(ys.min().item<double>(), truth[t].y);
        QCOMPARE(xs.max().item<double>() + 1, truth[t].x + truth[t].w);
        QCOMPARE(ys.max().item<double>() + 1, truth[t].y + truth[t].h);
      }
      // The semantic PNG holds category ids; the panoptic map has the same, by their own labels.
      const auto a = *set.semantic_truth(i), b = *semantic.semantic_truth(i);
      for (std::size_t p = 0; p < a.labels.size(); ++p) {
        const std::int64_t id =
            a.labels[p] == 0 ? 0 : set.category_id(static_cast<std::int64_t>(a.labels[p]));
        const std::int64_t other =
            b.labels[p] == 0 ? 0 : semantic.category_id(static_cast<std::int64_t>(b.labels[p]));
        if (id != other) {
          QFAIL(qPrintable(
              QStringLiteral("picture %1, pixel %2: %3 and %4").arg(i).arg(p).arg(id).arg(other)));
        }
      }
    }
    QCOMPARE(set.size(), 64);
    QCOMPARE(segments, 659);
    QCOMPARE(boxes, 439);
  }
};

BATCHSCOPE_TEST(TestDataPanoptic)
#include "tst_data_panoptic.moc"
