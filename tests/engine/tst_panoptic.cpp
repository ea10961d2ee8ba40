#include "engine/contract/error.h"
#include "engine/metrics/panoptic_files.h"
#include "engine/metrics/semantic.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

using namespace batchscope::train;
using batchscope::contract::DataError;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

const std::string kFolder = BATCHSCOPE_FIXTURES "/engine/panoptic";

/// Worked out from the definitions; see make_panoptic.py.
const json& expected() {
  static const json all = [] {
    std::ifstream file(kFolder + "/expected.json");
    return json::parse(file);
  }();
  return all;
}

bool near(double found, const json& wanted) {
  return std::abs(found - wanted.get<double>()) <= 1e-12;
}

PanopticTotals fixture_totals(unsigned threads = 1) {
  return compare_panoptic(read_panoptic_file(kFolder + "/truth.json"),
                          kFolder + "/truth",
                          read_panoptic_file(kFolder + "/found.json"),
                          kFolder + "/found",
                          threads);
}

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const DataError& error) {
    return error.what();
  }
  return "accepted";
}

/// The fixture's truth.json with one text replaced, in a file of its own.
std::string changed_file(const QTemporaryDir& folder,
                         const std::string& from,
                         const std::string& to) {
  std::ifstream file(kFolder + "/truth.json");
  std::stringstream text;
  text << file.rdbuf();
  std::string content = text.str();
  const std::size_t at = content.find(from);
  if (at != std::string::npos) {
    content.replace(at, from.size(), to);
  }
  const std::string path = folder.filePath(QStringLiteral("changed.json")).toStdString();
  std::ofstream(path) << content;
  return path;
}

}  // namespace

class TestPanoptic : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void equals_the_definition() {
    const PanopticFile truth = read_panoptic_file(kFolder + "/truth.json");
    QCOMPARE(truth.pictures.size(), std::size_t{14});
    for (const unsigned threads : {1U, 3U}) {
      const PanopticTotals totals = fixture_totals(threads);
      const json& wanted = expected()["panoptic"];
      for (const auto& [part, suffix] : {std::pair(PanopticPart::kAll, ""),
                                         std::pair(PanopticPart::kThings, "_th"),
                                         std::pair(PanopticPart::kStuff, "_st")}) {
        const PanopticQuality q = panoptic_quality(totals, truth.categories, part);
        QVERIFY(near(q.pq, wanted[std::string("PQ") + suffix]));
        QVERIFY(near(q.sq, wanted[std::string("SQ") + suffix]));
        QVERIFY(near(q.rq, wanted[std::string("RQ") + suffix]));
      }
      for (const json& one : wanted["per_class"]) {
        const auto found = totals.find(one["id"].get<std::int64_t>());
        const PanopticCounts counts = found == totals.end() ? PanopticCounts{} : found->second;
        QCOMPARE(counts.hits, one["tp"].get<std::uint64_t>());
        QCOMPARE(counts.false_alarms, one["fp"].get<std::uint64_t>());
        QCOMPARE(counts.misses, one["fn"].get<std::uint64_t>());
        QVERIFY(near(quality_of(counts).pq, one["PQ"]));
      }
    }
  }

  void truth_against_itself_is_perfect() {
    LabelMap map{2, 3, {0, 1, 1, 2, 2, 2}};
    const std::vector<PanopticSegment> segments = {{1, 10}, {2, 20}};
    PanopticTotals totals;
    count_panoptic(map, segments, map, segments, totals);
    const std::vector<PanopticCategory> categories = {{10, "a", true}, {20, "b", false}, {30, "c"}};
    const PanopticQuality q = panoptic_quality(totals, categories, PanopticPart::kAll);
    QCOMPARE(q.pq, 1.0);
    QCOMPARE(q.categories, std::size_t{2});
    QCOMPARE(panoptic_quality({}, categories, PanopticPart::kAll).pq, -1.0);
  }

  void nothing_to_measure_is_minus_one() {
    const std::vector<PanopticCategory> things = {{10, "a", true}};
    QCOMPARE(panoptic_quality({{10, {0.8, 1, 0, 0}}}, things, PanopticPart::kStuff).sq, -1.0);
    QCOMPARE(panoptic_quality({{10, {0.8, 1, 0, 0}}}, things, PanopticPart::kThings).sq, 0.8);
    QCOMPARE(panoptic_quality({{10, {0, 0, 1, 0}}}, things, PanopticPart::kThings).rq, 0.0);
  }

  void errors_name_file_and_entry() {
    const QTemporaryDir folder;
    const auto said = [&folder](const std::string& from, const std::string& to) {
      const std::string path = changed_file(folder, from, to);
      return error_of([&] {
        const PanopticFile file = read_panoptic_file(path);
        compare_panoptic(file, kFolder + "/truth", file, kFolder + "/truth", 2);
      });
    };
    QCOMPARE(said("xyz", "xyz"), std::string("accepted"));
    const auto has = [](const std::string& text, const char* part) {
      return text.find("changed.json'") != std::string::npos &&
             text.find(part) != std::string::npos;
    };
    QVERIFY(has(said("\"image_id\":7,", "\"image_id\":14,"),
                "annotations[1]: image_id 14 comes twice"));
    QVERIFY(has(said("\"file_name\"", "\"name\""), "annotations[0]: no file_name"));
    QVERIFY(has(said("\"segments_info\"", "\"segments\""), "annotations[0]: no segments_info"));
    QVERIFY(has(said("\"category_id\"", "\"category\""), "segments_info[0]: no category_id"));
    QVERIFY(has(said("\"category_id\":", "\"category_id\":88"), "is no category of"));
    QVERIFY(has(said("\"annotations\"", "\"notes\""), "no list 'annotations'"));
    QVERIFY(has(said("\"id\":", "\"id\":-"), "does not fit into R + 256 G + 65536 B"));
    QVERIFY(has(said("\"id\":", "\"id\":1,\"other\":"), "has no entry in segments_info"));
    QVERIFY(said("01.png", "gone.png").find("gone.png' does not exist") != std::string::npos);
    QVERIFY(said("01.png", "02.png").find("do not agree") != std::string::npos ||
            said("01.png", "02.png").find("pixels; expected") != std::string::npos);
    const PanopticFile truth = read_panoptic_file(kFolder + "/truth.json");
    PanopticFile fewer = truth;
    fewer.pictures.pop_back();
    QVERIFY(error_of([&] {
              compare_panoptic(truth, kFolder + "/truth", fewer, kFolder + "/truth", 1);
            }).find("has no annotation of image 98") != std::string::npos);
  }

  void mean_iou_equals_the_definition() {
    for (const json& one : expected()["semantic"]) {
      SemanticOptions options;
      options.ignore = one["ignore"].get<std::set<std::uint32_t>>();
      if (!one["known"].is_null()) {
        options.known = one["known"].get<std::set<std::uint32_t>>();
      }
      options.threads = 2;
      const SemanticCounts counts =
          compare_semantic(kFolder + "/semantic_truth", kFolder + "/semantic_found", options);
      for (const auto& [name, value] : counts.metrics()) {
        QVERIFY2(near(value, one[name]), name.c_str());
      }
      QCOMPARE(counts.classes().size(), one["classes"].size());
      for (std::size_t c = 0; c < one["classes"].size(); ++c) {
        QVERIFY(near(counts.classes().at(one["classes"][c].get<std::uint32_t>()).iou(),
                     one["ious"][c]));
      }
    }
  }

  void unknown_predictions_are_misses() {
    SemanticCounts counts({0}, {1, 2});
    counts.add({{0, 1, 50}, {1, 1, 6}, {1, 9, 2}, {2, 0, 4}});
    QCOMPARE(counts.classes().size(), std::size_t{2});
    QCOMPARE(counts.metrics().at("mIoU"), (6.0 / 8 + 0) / 2);
    QCOMPARE(counts.metrics().at("pixel_accuracy"), 0.5);
    QCOMPARE(SemanticCounts().metrics().at("mIoU"), -1.0);
  }

  void label_pictures_that_cannot_be_read() {
    const QTemporaryDir folder;
    const std::string truth = kFolder + "/semantic_truth", found = folder.path().toStdString();
    const auto said = [&](const SemanticOptions& options = {}) {
      return error_of([&] { compare_semantic(truth, found, options); });
    };
    QVERIFY(said().find("0.png' does not exist") != std::string::npos);
    fs::copy(truth, found, fs::copy_options::recursive);
    QCOMPARE(said(), std::string("accepted"));
    SemanticOptions known;
    known.known = {1, 2};
    QVERIFY(said(known).find("neither a category nor ignored") != std::string::npos);
    const auto replace = [&found](const std::string& with) {
      fs::copy_file(with, found + "/0.png", fs::copy_options::overwrite_existing);
    };
    replace(kFolder + "/truth/01.png");
    QVERIFY(said().find("0.png' has colours") != std::string::npos);
    replace(truth + "/2.png");
    QVERIFY(said().find("pixels; expected") != std::string::npos);
    replace(kFolder + "/truth.json");
    QVERIFY(said().find("is no PNG file") != std::string::npos);
    replace(truth + "/0.png");
    fs::resize_file(found + "/0.png", fs::file_size(found + "/0.png") / 2);
    QVERIFY(said().find("damaged PNG") != std::string::npos);
    QVERIFY(error_of([&] { compare_semantic("/nowhere", found, {}); }).find("cannot be read") !=
            std::string::npos);
    QVERIFY(error_of([&] {
              read_label_map(truth + "/0.png", LabelCoding::kPanoptic);
            }).find("not an 8-bit RGB") != std::string::npos);
  }

  void written_maps_are_read_back() {
    QTemporaryDir folder;
    const std::string file = folder.filePath(QStringLiteral("m.png")).toStdString();
    const LabelMap small{2, 3, {0, 1, 255, 7, 7, 128}}, wide{1, 3, {0, 256, 65535}},
        panoptic{1, 3, {0, 66051, (1U << 24) - 1}};
    const auto round = [&file](const LabelMap& map, LabelCoding coding) {
      write_label_map(file, map, coding);
      return read_label_map(file, coding).labels == map.labels;
    };
    QVERIFY(round(small, LabelCoding::kSemantic));
    QVERIFY(round(wide, LabelCoding::kSemantic));
    QVERIFY(round(small, LabelCoding::kPanoptic));
    QVERIFY(round(panoptic, LabelCoding::kPanoptic));
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument,
                             write_label_map(file, panoptic, LabelCoding::kSemantic));
    QVERIFY_THROWS_EXCEPTION(batchscope::contract::StorageError,
                             write_label_map("/nowhere/m.png", small, LabelCoding::kSemantic));
  }
};

BATCHSCOPE_TEST(TestPanoptic)
#include "tst_panoptic.moc"
