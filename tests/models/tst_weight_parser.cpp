#include "models/weights/key_names.h"
#include "models/weights/weight_error.h"
#include "models/weights/weight_index.h"
#include "models/weights/zip_directory.h"
#include "tests/models/pickle_text.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <fstream>
#include <functional>

using namespace batchscope;
using testing::dict_of;
using testing::legacy_file;
using testing::little;
using testing::pickle_int;
using testing::pickle_ints;
using testing::pickle_tensor;
using testing::pickle_text;
using testing::PickleTensor;

namespace {

const std::filesystem::path kFixtures = BATCHSCOPE_FIXTURES "/models/weights";

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

QByteArray array(const std::string& bytes) {
  return {bytes.data(), static_cast<qsizetype>(bytes.size())};
}

/// The sentence that refuses these bytes; empty when they are a weight file.
std::string refusal(std::string_view bytes) {
  try {
    const models::MemorySource source("it", bytes);
    const models::WeightIndex index = models::index_weights(source);
    for (const models::WeightEntry& entry : index.entries) {
      if (entry.span_bytes() > 0) {
        source.text(models::storage_place(source, index.storages.at(entry.storage)) + entry.first,
                    entry.span_bytes());
      }
    }
    return {};
  } catch (const models::WeightError& error) {
    return error.what();
  }
}

std::string good_tensor() {
  return pickle_tensor({});
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) {
    all += text;
  }
  return all;
}

struct Record {
  std::string name, content;
};

/// A zip file by hand: `change` may lie about every record of the directory (46 bytes and name) and
/// about the end (22 bytes).
std::string zip_of(
    const std::vector<Record>& records,
    const std::function<void(std::string& entry)>& change = [](std::string&) {},
    const std::function<void(std::string& end)>& change_end = [](std::string&) {}) {
  std::string file, directory;
  for (const Record& record : records) {
    std::string entry = "PK\1\2" + std::string(16, '\0') + little(record.content.size(), 4) +
                        little(record.content.size(), 4) + little(record.name.size(), 2) +
                        std::string(12, '\0') + little(file.size(), 4) + record.name;
    change(entry);
    directory += entry;
    file += "PK\3\4" + std::string(22, '\0') + little(record.name.size(), 2) +
            std::string(2, '\0') + record.name + record.content;
  }
  std::string end = "PK\5\6" + std::string(4, '\0') + little(records.size(), 2) +
                    little(records.size(), 2) + little(directory.size(), 4) +
                    little(file.size(), 4) + std::string(2, '\0');
  change_end(end);
  return file + directory + end;
}

std::vector<Record> records_of(const std::string& pickle) {
  return {{"a/data.pkl", "\x80\x02" + pickle + "."}, {"a/data/0", std::string(24, '\1')}};
}

}  // namespace

class TestWeightParser : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void refusesInOneSentence_data() {
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("sentence");
    const auto row = [](const char* name, const std::string& bytes, const char* sentence) {
      QTest::newRow(name) << array(bytes) << QString::fromUtf8(sentence);
    };
    const auto object = [&](const char* name, const std::string& pickle, const char* sentence) {
      row(name, zip_of(records_of(pickle)), sentence);
    };
    const auto tensor = [&](const char* name, const PickleTensor& t, const char* sentence) {
      row(name, legacy_file(dict_of("w", pickle_tensor(t))), sentence);
    };
    row("empty", "", "'it' is empty.");
    row("text", "this is no weight file\n", "\"this is no weight file\": it is text, not weights.");
    row("a short text", "404\n", "begins with \"404\": it is text");
    row("a web page", "\n<!DOCTYPE html><html>", "\"<!DOCTYPE html><html>\": it is a web page");
    row("a small web page", "\xef\xbb\xbf<HTML><body>\n", "it is a web page, not weights");
    row("a text that is cut in a character", std::string(255, 'x') + "ä", "it is text");
    row("an answer of a store", "<?xml version=\"1.0\"?>\n<Error>", "it is an XML document");
    row("a pointer",
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
        "it is a Git LFS pointer");
    row("gzip", "\x1f\x8b\x08" + std::string(20, '\1'), "is compressed by gzip");
    row("HDF5", "\x89HDF\r\n\x1a\n" + std::string(8, '\0'), "is an HDF5 file");
    row("a few bytes", "\1\2\3", "neither .pth nor .safetensors: it is too short");
    row("other bytes", std::string(64, '\xf1'), "neither .pth nor .safetensors: its header would");
    row("another pickle", "\x80\x02K\x01.", "not one that torch.save wrote");
    row("no stop", "\x80\x02K\x01", "truncated");
    object("a call",
           "cposix\nsystem\n(" + pickle_text("touch /tmp/never") + "tR",
           "it is \"posix.system\" without tensors");
    object("a number", pickle_int(7), "holds no state_dict");
    object("a million operations", repeated("N0", 500'000), "more than 500000 operations");
    object("a million lists", repeated("]", 300'000), "open values");
    object("a million marks", repeated("(", 300'000), "open marks");
    object("deep", repeated("]", 1000) + repeated("a", 999), "inside one another");
    object("itself",
           "]q\x01h\x01"
           "a",
           "contains itself");
    object("itself in a dict", "}q\x01" + pickle_text("model") + "h\x01s", "contains itself");
    object("a long string", "X\xff\xff\xff\x7f", "string of 2147483647 bytes");
    object("a monstrous string", "\x8d" + little(1ULL << 62, 8), "string of 4611686018427387904");
    object("an unset memo", "h\x07", "memo 7 was never set");
    object("an odd dict", "}(K\1u", "a key without a value");
    object("items of a number", "K\1(K\1e", "no list");
    object("too few values", "\x87", "a value is missing");
    object("below a mark", "K\1(0", "a value is missing");
    object("no mark", "t", "a mark is missing");
    object("an extension", "\x82\x01", "opcode 130");
    object("a long name", "c" + std::string(300, 'x') + "\ny\n", "line of more than 256");
    object("a call of nothing", "K\1K\1R", "without arguments");
    tensor("wrong strides", {.strides = {4, 1}}, "beyond the end of its storage of 24 bytes");
    tensor("wrong place", {.first = 1}, "beyond the end");
    tensor("wrong shape", {.shape = {3, 3}}, "beyond the end");
    tensor("negative stride", {.strides = {3, -1}}, "whole numbers from 0");
    tensor("negative place", {.first = -1}, "whole numbers from 0");
    tensor("negative shape", {.shape = {-2, 3}}, "whole numbers from 0");
    tensor("fewer strides", {.strides = {1}}, "whole numbers from 0");
    tensor("endless stride", {.strides = {INT64_MAX, INT64_MAX}}, "beyond the end");
    tensor("endless shape", {.shape = {1LL << 40, 1LL << 40}, .strides = {0, 0}}, "more than");
    tensor("many elements of one", {.shape = {1LL << 20, 1LL << 20}, .strides = {0, 0}}, "repeat");
    tensor("many dimensions",
           {.shape = std::vector<std::int64_t>(65, 1), .strides = std::vector<std::int64_t>(65, 1)},
           "whole numbers from 0");
    tensor("larger storage", {.elements = 7}, "damaged: storage \"0\"");
    tensor(
        "another storage", {.key = "5"}, "storage \"0\" has 6 elements, its tensors expect none");
    row("unknown type",
        zip_of(records_of(dict_of("w", pickle_tensor({.storage = "QInt8Storage"})))),
        "storage of a known type");
    row("short storage", legacy_file(dict_of("w", good_tensor()), 6, 5), "truncated");
    row("monstrous storage",
        legacy_file(dict_of("w", pickle_tensor({.elements = 1LL << 62})), 1ULL << 62),
        "truncated");
    object("a sparse tensor",
           dict_of("w", "ctorch._utils\n_rebuild_sparse_tensor\n(K\1tR"),
           "a dense tensor");
    object("an incomplete tensor",
           dict_of("w", "ctorch._utils\n_rebuild_tensor_v2\n(K\1tR"),
           "incompletely");
    const std::string pickle = dict_of("w", good_tensor());
    row("no directory", zip_of(records_of(pickle)).substr(0, 200), "no zip directory");
    row("no pickle", zip_of({{"a/other", "x"}}), "without a record data.pkl");
    row("no storage", zip_of({records_of(pickle)[0]}), "lacks record \"a/data/0\"");
    row("a small record",
        zip_of({records_of(pickle)[0], {"a/data/0", std::string(23, '\1')}}),
        "storage \"0\" has 23 bytes");
    row("big-endian",
        zip_of({records_of(pickle)[0], records_of(pickle)[1], {"a/byteorder", "big"}}),
        "byte order \"big\"");
    const auto zip = [&](const char* name, auto change, const char* sentence) {
      row(name, zip_of(records_of(pickle), change), sentence);
    };
    zip(
        "compressed", [](std::string& e) { e[10] = 8; }, "compressed or encrypted");
    zip(
        "encrypted", [](std::string& e) { e[8] = 1; }, "compressed or encrypted");
    zip(
        "a bomb", [](std::string& e) { e.replace(24, 4, little(1U << 31, 4)); }, "compressed");
    zip(
        "a large record",
        [](std::string& e) { e.replace(20, 8, little(~0ULL >> 1, 8)); },
        "does not lie in it");
    zip(
        "a far record",
        [](std::string& e) { e.replace(42, 4, little(1U << 30, 4)); },
        "does not lie in it");
    zip(
        "a long name in the directory",
        [](std::string& e) { e.replace(28, 2, little(9999, 2)); },
        "cut off");
    zip(
        "another header",
        [](std::string& e) { e.replace(42, 4, little(1, 4)); },
        "no zip record begins");
    zip(
        "one name",
        [](std::string& e) {
          e.replace(28, 2, little(0, 2));
          e.resize(46);
        },
        "twice");
    const auto end = [&](const char* name, auto change, const char* sentence) {
      row(name,
          zip_of(
              records_of(pickle), [](std::string&) {}, change),
          sentence);
    };
    end(
        "many records",
        [](std::string& e) { e.replace(10, 2, little(65535, 2)); },
        "65535 records");
    end(
        "a large directory",
        [](std::string& e) { e.replace(12, 4, little(~0U, 4)); },
        "would have 2 records");
    end(
        "a far directory", [](std::string& e) { e.replace(16, 4, little(~0U, 4)); }, "truncated");
    end(
        "more records", [](std::string& e) { e.replace(10, 2, little(1, 2)); }, "lacks record");
  }
  void refusesInOneSentence() {
    QFETCH(QByteArray, bytes);
    QFETCH(QString, sentence);
    const std::string said = refusal(bytes.toStdString());
    QVERIFY2(!said.empty(), "it was read");
    QVERIFY2(QString::fromStdString(said).contains(sentence), said.c_str());
    QVERIFY2(said.find('\n') == std::string::npos && said.size() < 500, said.c_str());
  }

  /// Not one cut of a file is taken for a file.
  void refusesEveryCut_data() {
    QTest::addColumn<QString>("name");
    for (const char* name : {"state_dict.pth",
                             "state_dict_legacy.pth",
                             "state_dict.safetensors",
                             "trainer.pth",
                             "trainer_legacy.pth",
                             "views.pth"}) {
      QTest::newRow(name) << QString::fromLatin1(name);
    }
  }
  void refusesEveryCut() {
    QFETCH(QString, name);
    const std::string bytes = bytes_of(kFixtures / name.toStdString());
    QCOMPARE(refusal(bytes), std::string());
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      const std::string said = refusal(std::string_view(bytes).substr(0, cut));
      QVERIFY2(!said.empty(), qPrintable(QStringLiteral("%1 bytes").arg(cut)));
      QVERIFY2(said.find('\n') == std::string::npos, said.c_str());
    }
  }

  /// A changed byte gives another file or a sentence, and never anything else.
  void survivesDamage() {
    for (const char* name : {"views.pth", "views_legacy.pth", "state_dict.safetensors"}) {
      const std::string bytes = bytes_of(kFixtures / name);
      int refused = 0;
      for (std::size_t place = 0; place < bytes.size(); ++place) {
        for (const char mask : {'\x01', '\x80', '\xff'}) {
          std::string changed = bytes;
          changed[place] = static_cast<char>(changed[place] ^ mask);
          refused += refusal(changed).empty() ? 0 : 1;
        }
      }
      QVERIFY2(refused > 100, name);
    }
  }

  /// What fuzzing found worth keeping (tests/fuzz): all of it ends in an index or a sentence.
  void survivesTheCorpus() {
    const models::FileSource corpus(BATCHSCOPE_SOURCE_DIR "/tests/fuzz/weight_index_corpus.zip");
    const models::ZipDirectory directory(corpus);
    QVERIFY(directory.records().size() > 100);
    int zips = 0;
    for (const auto& [name, record] : directory.records()) {
      const std::string bytes = corpus.text(models::content_place(corpus, record), record.bytes);
      const std::string said = refusal(bytes);
      QVERIFY2(said.find('\n') == std::string::npos && said.size() < 1000, said.c_str());
      zips += said.empty() && bytes.starts_with("PK") ? 1 : 0;
    }
    QVERIFY(zips >= 11);  // what a fuzzer changes has to be well-formed first
  }

  /// The length of the header may look like the beginning of another format.
  void tellsFormatsApart() {
    for (const std::uint64_t length : {0x80ULL, 0x0280ULL, 0x4b50ULL}) {
      std::string header = R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
      header.resize(length, ' ');
      const std::string file = little(length, 8) + header + "ab";
      QCOMPARE(refusal(file), std::string());
      const models::MemorySource source("it", file);
      QVERIFY(models::index_weights(source).format == models::WeightFormat::kSafetensors);
    }
  }

  void handMadeFilesAreRead() {
    QCOMPARE(refusal(legacy_file(dict_of("w", good_tensor()))), std::string());
    QCOMPARE(refusal(zip_of(records_of(dict_of("w", good_tensor())))), std::string());
    // A list of pairs, as Python 2 wrote OrderedDicts.
    const std::string pairs =
        "ccollections\nOrderedDict\n(](](" + pickle_text("w") + good_tensor() + "eetR";
    QCOMPARE(refusal(legacy_file(pairs)), std::string());
  }

  void aKeyChoosesAmongSeveralSets() {
    const auto entry = [](const std::string& name, const std::string& value) {
      return pickle_text(name) + value + "s";
    };
    const std::string two = "}" + entry("a", good_tensor()) + entry("b", good_tensor());
    const std::string file = legacy_file(
        "}" + entry("optimizer", two) + entry("model", two) + entry("rng", good_tensor()) +
        entry("ema", "}" + entry("module", two) + entry("decay", pickle_int(1))) +
        entry("ema.best", dict_of("c", good_tensor())));
    const models::MemorySource source("it", file);
    const auto at = [&](const std::string& key) { return models::index_weights(source, key); };
    const std::vector<std::string> sets = {"ema.module", "ema.best"};
    QCOMPARE(at("").path, std::string("model"));
    QCOMPARE(at("").other_sets, sets);
    QCOMPARE(at("ema.module").path, std::string("ema.module"));
    QCOMPARE(at("ema").path, std::string("ema.module"));
    QCOMPARE(at("ema.module").other_sets, (std::vector<std::string>{"model", "ema.best"}));
    QCOMPARE(at("ema.best").entries.front().name, std::string("c"));
    for (const char* key : {"emo", "ema.", "ema.module.a", "ema.decay", "."}) {
      QVERIFY_THROWS_EXCEPTION(models::WeightError, at(key));
    }
    try {
      at("emo");
    } catch (const models::WeightError& error) {
      QVERIFY2(std::string(error.what())
                   .ends_with("has no weights at the key \"emo\"; it has them at "
                              "\"model\", \"ema.module\", \"ema.best\"."),
               error.what());
    }
    QVERIFY(models::also_holds({}).empty());
    QCOMPARE(models::also_holds(sets),
             std::string("It also holds ema.module, ema.best: --weights-key or model.weights_key "
                         "takes another."));
  }

  /// torch.jit.save writes modules as objects whose attributes are tensors and modules.
  void readsTheTensorsOfTorchScript() {
    const auto entry = [](const std::string& name, const std::string& value) {
      return pickle_text(name) + value + "s";
    };
    const auto object = [](const std::string& name, const std::string& attributes) {
      return "c__torch__\n" + name + "\n)\x81}" + attributes + "b";
    };
    const std::string inner = object("Layer", entry("weight", good_tensor()));
    const std::string file = legacy_file(object(
        "Box", entry("training", "\x89") + entry("head", inner) + entry("scale", good_tensor())));
    const models::WeightIndex index = models::index_weights(models::MemorySource("it", file));
    QCOMPARE(index.entries.size(), std::size_t{2});
    QCOMPARE(index.entries[0].name, std::string("scale"));
    QCOMPARE(index.entries[1].name, std::string("head.weight"));
  }

  void arraysOfNumpyAreNamed() {
    const std::string array = "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" +
                              pickle_ints({0}) + pickle_text("b") + "tR";
    try {
      models::index_weights(
          models::MemorySource("it", zip_of(records_of(dict_of("model", dict_of("w", array))))));
      QFAIL("arrays were taken for tensors");
    } catch (const models::WeightError& error) {
      QVERIFY2(
          std::string(error.what()).find("of numpy arrays, expected tensors") != std::string::npos,
          error.what());
    }
  }

  void safetensorsHaveNoKey() {
    const std::string header = R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
    const std::string file = little(header.size(), 8) + header + "ab";
    QVERIFY_THROWS_EXCEPTION(models::WeightError,
                             models::index_weights(models::MemorySource("it", file), "ema"));
  }

  /// Sizes and places that do not fit in 32 bits stand in an extra field.
  void readsWideZipFiles() {
    const std::vector<Record> records = records_of(dict_of("w", good_tensor()));
    std::uint64_t header = 0;
    std::size_t i = 0;
    const std::string file = zip_of(records, [&](std::string& entry) {
      const std::uint64_t size = records[i].content.size();
      const std::string wide = little(size, 8) + little(size, 8) + little(header, 8);
      entry.replace(20, 8, std::string(8, '\xff'));
      entry.replace(42, 4, std::string(4, '\xff'));
      entry.replace(30, 2, little(8 + 4 + 24, 2));
      entry += little(0x4246, 2) + little(4, 2) + "ZZZZ" + little(1, 2) + little(24, 2) + wide;
      header += 30 + records[i].name.size() + size;
      ++i;
    });
    QCOMPARE(refusal(file), std::string());
  }

  void keepsSharedPartsApart() {
    // 2^100 paths lead to one list: each part is looked at once.
    std::string pickle = "]q\x01";
    for (int i = 0; i < 100; ++i) {
      pickle += "h\x01\x86q\x01";
    }
    const std::string said = refusal(zip_of(records_of(dict_of("model", pickle))));
    QVERIFY2(said.find("holds no state_dict") != std::string::npos, said.c_str());
  }

  void namesOfToday_data() {
    QTest::addColumn<QString>("old");
    QTest::addColumn<QString>("current");
    const auto row = [](const char* old, const char* current) {
      QTest::newRow(old) << QString::fromLatin1(old) << QString::fromLatin1(current);
    };
    row("rpn.head.conv.weight", "rpn.head.conv.0.0.weight");
    row("backbone.fpn.inner_blocks.0.weight", "backbone.fpn.inner_blocks.0.0.weight");
    row("backbone.fpn.layer_blocks.3.bias", "backbone.fpn.layer_blocks.3.0.bias");
    row("head.classification_head.conv.0.weight", "head.classification_head.conv.0.0.weight");
    row("head.regression_head.conv.6.bias", "head.regression_head.conv.3.0.bias");
    row("roi_heads.mask_head.mask_fcn1.weight", "roi_heads.mask_head.0.0.weight");
    row("roi_heads.mask_head.mask_fcn4.bias", "roi_heads.mask_head.3.0.bias");
    for (const char* kept : {"rpn.head.conv.0.0.weight",
                             "backbone.fpn.inner_blocks.0.0.weight",
                             "backbone.fpn.inner_blocks.0.1.weight",
                             "backbone.fpn.extra_blocks.p6.weight",
                             "head.classification_head.conv.3.0.weight",
                             "head.classification_head.cls_logits.weight",
                             "head.classification_head.conv.1.weight",
                             "rpn.head.bbox_pred.weight",
                             "backbone.body.layer1.0.conv1.weight",
                             "conv.0.weight",
                             "weight",
                             ""}) {
      row(kept, kept);
    }
  }
  void namesOfToday() {
    QFETCH(QString, old);
    QFETCH(QString, current);
    QCOMPARE(QString::fromStdString(models::current_name(old.toStdString())), current);
  }

  void prefixesOfAllNamesGo() {
    using Names = std::vector<std::string>;
    QCOMPARE(models::current_names({"module.a", "module.rpn.head.conv.bias"}),
             (Names{"a", "rpn.head.conv.0.0.bias"}));
    QCOMPARE(models::current_names({"module.a", "b"}), (Names{"module.a", "b"}));
    QCOMPARE(models::current_names({"_orig_mod.module.a"}), (Names{"a"}));
    QCOMPARE(models::current_names({"a._orig_mod.fpn._orig_mod.inner_blocks.0.bias", "b"}),
             (Names{"a.fpn.inner_blocks.0.0.bias", "b"}));
    QCOMPARE(models::current_names({"module."}), (Names{"module."}));
    QCOMPARE(models::current_names({}), Names{});
  }
};

BATCHSCOPE_TEST(TestWeightParser)
#include "tst_weight_parser.moc"
