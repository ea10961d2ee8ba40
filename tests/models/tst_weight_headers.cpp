#include "models/weights/weight_error.h"
#include "models/weights/weight_index.h"
#include "tests/support/sparse_weights.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <algorithm>

using namespace batchscope;
using testing::little;

namespace {

/// The sentence that refuses these bytes; empty when they are a weight file.
std::string refusal(std::string_view bytes) {
  try {
    models::index_weights(models::MemorySource("it", bytes));
    return {};
  } catch (const models::WeightError& error) {
    return error.what();
  }
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) {
    all += text;
  }
  return all;
}

/// `text` with each % replaced by 0, 1, …, one after another.
std::string numbered(std::size_t times, const std::string& text) {
  const std::size_t place = text.find('%');
  std::string all;
  for (std::size_t i = 0; i < times; ++i) {
    all += text.substr(0, place) + std::to_string(i) + text.substr(place + 1);
  }
  return all;
}

/// `begin`, then many zeros that are nowhere kept, then `end`; it counts what is read.
class SparseSource : public models::ByteSource {
 public:
  SparseSource(std::string begin, std::uint64_t zeros, std::string end)
      : ByteSource("sparse"), begin_(std::move(begin)), end_(std::move(end)), zeros_(zeros) {}
  std::uint64_t size() const override { return begin_.size() + zeros_ + end_.size(); }
  mutable std::uint64_t read_bytes = 0;

 private:
  bool copy(std::uint64_t offset, void* to, std::uint64_t count) const override {
    read_bytes += count;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t at = offset + i, behind = begin_.size() + zeros_;
      static_cast<char*>(to)[i] = at < begin_.size() ? begin_[at]
                                  : at >= behind     ? end_[at - behind]
                                                     : '\0';
    }
    return true;
  }
  std::string begin_, end_;
  std::uint64_t zeros_;
};

}  // namespace

/// Headers of safetensors that no honest program writes, and how little an index reads.
class TestWeightHeaders : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void refusesHostileHeaders_data() {
    QTest::addColumn<QByteArray>("header");
    QTest::addColumn<QString>("sentence");
    const auto row = [](const char* name, const std::string& header, const char* sentence) {
      QTest::newRow(name) << QByteArray::fromStdString(header) << QString::fromUtf8(sentence);
    };
    const auto tensor = [&](const char* name, const std::string& about, const char* sentence) {
      row(name, R"({"w":{)" + about + "}}", sentence);
    };
    const std::string good = R"("dtype":"U8","shape":[2],"data_offsets":[0,2])";
    row("no JSON", "{\"w\":", "not a JSON object");
    row("a list", "[]", "not a JSON object");
    row("a number", "7", "not a JSON object");
    row("nothing", "", "not a JSON object");
    row("lists", repeated("[", 1'000'000), "not a JSON object");
    row("objects", repeated("{\"a\":", 1'000'000), "more than 16 objects and lists");
    tensor("lists in a key that the format lacks",
           good + ",\"more\":" + repeated("[", 1'000'000),
           "more than 16 objects and lists");
    tensor("an endless shape",
           R"("shape":[1)" + repeated(",1", 1'000'000) + "]",
           "a list of more than 64 numbers");
    tensor("a deep shape", R"("shape":[[2]])", "no shape of whole numbers");
    tensor("a shape of text", R"("shape":["2"])", "no shape of whole numbers");
    tensor("a negative shape", R"("shape":[-2])", "no shape of whole numbers");
    tensor("half a shape", R"("shape":[2.5])", "no shape of whole numbers");
    tensor("a shape beyond numbers", R"("shape":[18446744073709551616])", "no shape of whole");
    tensor("a shape beyond signed numbers",
           R"("dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,2])",
           "no shape of whole numbers");
    tensor("a monstrous shape",
           R"("dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0])",
           "need more than there can be");
    tensor("no shape", R"("dtype":"U8","data_offsets":[0,2])", "no shape of whole numbers");
    tensor("no dtype", R"("shape":[2],"data_offsets":[0,2])", "no dtype");
    tensor("another dtype", R"("dtype":1)", "no dtype");
    tensor(
        "an unknown dtype",
        R"("dtype":"F7","shape":[2],"data_offsets":[0,2])",
        "\"F7\", expected one of F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL, U16, U32, U64, "
        "F8_E4M3, F8_E5M2 and C64.");
    tensor("one offset", R"("dtype":"U8","shape":[2],"data_offsets":[0])", "no pair of");
    tensor("three offsets", R"("dtype":"U8","shape":[2],"data_offsets":[0,2,2])", "no pair of");
    tensor("offsets back", R"("dtype":"U8","shape":[2],"data_offsets":[2,0])", "no pair of");
    tensor("offsets of objects", R"("data_offsets":{})", "no pair of");
    tensor("far offsets",
           R"("dtype":"U8","shape":[2],"data_offsets":[18446744073709551613,18446744073709551615])",
           "truncated or damaged");
    tensor("other bytes", R"("dtype":"F32","shape":[2],"data_offsets":[0,2])", "need 8.");
    tensor("a shape twice", good + R"(,"shape":[2])", "\"shape\" twice");
    row("a name twice", "{\"w\":{" + good + "},\"w\":{" + good + "}}", "names tensor \"w\" twice");
    row("a tensor is a number", R"({"w":7})", "no dtype for tensor \"w\"");
    row("a tensor is a list", R"({"w":[]})", "no dtype for tensor \"w\"");
    row("metadata in a list", R"({"__metadata__":[]})", "metadata that is not a JSON object");
    row("metadata of numbers",
        R"({"__metadata__":{"a":1}})",
        "metadata \"a\" that is not a string");
    row("metadata of objects", R"({"__metadata__":{"a":{}}})", "\"a\" that is not a string");
    row("much metadata",
        R"({"__metadata__":{"":"")" + numbered(10'001, R"(,"%":"")") + "}}",
        "more than 10000 entries of metadata");
    row("many tensors",
        R"({"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})" +
            numbered(200'000, R"(,"%":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})") + "}",
        "more than 200000 tensors");
    const std::string long_text(17U << 20, 'x');
    row("a long name", "{\"" + long_text + "\":{" + good + "}}", "a value of more than 16777216");
    row("a long number", "{\"w\":" + std::string(17U << 20, '1'), "a value of more than");
    row("much room", std::string(17U << 20, ' ') + "{}", "a value of more than");
  }
  /// What JSON may ask for is bounded before it is kept.
  void refusesHostileHeaders() {
    QFETCH(QByteArray, header);
    QFETCH(QString, sentence);
    const std::string said =
        refusal(little(static_cast<std::uint64_t>(header.size()), 8) + header.toStdString() + "ab");
    QVERIFY2(!said.empty(), "it was read");
    QVERIFY2(QString::fromStdString(said).contains(sentence), said.c_str());
    QVERIFY2(said.find('\n') == std::string::npos && said.size() < 500, said.c_str());
  }

  /// Quotes and brackets inside strings are text; keys that the format lacks do not matter.
  void readsUnusualHeaders() {
    std::string header =
        " {`a\\`{[\\\\`:{`dtype`:`U8`,`more`:{`x`:[1,{`y`:null}],`dtype`:[true,-1.5,`s`]},"
        "`shape`:[2],`data_offsets`:[0,2]},`__metadata__`:{`k]`:`}[{`}}   ";
    std::ranges::replace(header, '`', '"');
    const std::string file = little(header.size(), 8) + header + "ab";
    QCOMPARE(refusal(file), std::string());
    const models::MemorySource source("it", file);
    const models::WeightIndex index = models::index_weights(source);
    QCOMPARE(index.entries.at(0).name, std::string("a\"{[\\"));
    QCOMPARE(index.metadata.at("k]"), std::string("}[{"));
  }

  /// An index of 1 GiB costs its header, or its directory and pickle.
  void readsLittleOfALargeFile() {
    constexpr std::uint64_t kGiB = 1U << 30;
    for (const auto& [begin, end] :
         {testing::safetensors_around(kGiB), testing::pth_around(kGiB)}) {
      const SparseSource source(begin, kGiB, end);
      const models::WeightIndex index = models::index_weights(source);
      QCOMPARE(index.entries.at(0).elements(), kGiB);
      QVERIFY2(source.read_bytes < 200'000, std::to_string(source.read_bytes).c_str());
    }
  }
};

BATCHSCOPE_TEST(TestWeightHeaders)
#include "tst_weight_headers.moc"
