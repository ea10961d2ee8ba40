#include "engine/contract/error.h"
#include "engine/data/json_reader.h"
#include "tests/support/sentences.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <random>

using batchscope::contract::DataError;
using batchscope::train::JsonReader;

namespace {

class JsonFile {
 public:
  explicit JsonFile(const std::string& content) {
    file_.open();
    file_.write(content.data(), qint64(content.size()));
    file_.close();
  }
  JsonReader reader() const { return {file_.fileName().toStdString(), "The file"}; }

 private:
  QTemporaryFile file_;
};

/// The error of reading the file as any value, without its beginning up to the place.
std::string error_of(
    const std::string& content, const std::function<void(JsonReader&)>& read = [](JsonReader& r) {
      r.skip();
      r.finish();
    }) {
  const JsonFile file(content);
  try {
    JsonReader reader = file.reader();
    read(reader);
  } catch (const DataError& error) {
    const std::string text = error.what();
    return text.substr(text.find("line "));
  }
  return "accepted";
}

}  // namespace

class TestJsonReader : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void values_in_order() {
    const JsonFile file(
        "{ \"a\" : [1, -2.5e1,\t{\"b\":[]}],\n\"text\\n\":\"x\\u00e9\\ud83d\\ude00\\\\\\/\","
        "\"t\":true,\"n\":null,\"big\":9007199254740993, \"f\": 3.0, \"last\":{}} ");
    JsonReader r = file.reader();
    std::string_view key;
    r.begin_object();
    QVERIFY(r.key(key) && key == "a");
    r.begin_list();
    QVERIFY(r.item());
    QCOMPARE(r.integer(), std::int64_t{1});
    QVERIFY(r.item());
    QCOMPARE(r.number(), -25.0);
    QCOMPARE(r.entry(), std::string("a[1]"));
    QVERIFY(r.item());
    r.begin_object();
    QVERIFY(r.key(key) && key == "b");
    QCOMPARE(r.entry(), std::string("a[2].b"));
    r.skip();
    QVERIFY(!r.key(key) && !r.item());
    QVERIFY(r.key(key) && key == "text\n");
    QCOMPARE(std::string(r.text()), std::string("x\u00e9\U0001F600\\/"));
    QVERIFY(r.key(key) && r.flag());
    QVERIFY(r.key(key) && r.null());
    QVERIFY(r.key(key));
    QCOMPARE(r.integer(), std::int64_t{9007199254740993});
    QVERIFY(r.key(key));
    QCOMPARE(r.integer(), std::int64_t{3});
    QVERIFY(r.key(key) && r.next() == JsonReader::Type::kObject);
    r.skip();
    QVERIFY(!r.key(key));
    r.finish();
  }

  void marks_of_windows_are_passed_over() {
    const JsonFile file("\xef\xbb\xbf{\"a\": 1}");
    JsonReader r = file.reader();
    std::string_view key;
    r.begin_object();
    QVERIFY(r.key(key) && key == "a");
    QCOMPARE(r.integer(), std::int64_t{1});
    QVERIFY(!r.key(key));
    r.finish();
    const JsonFile wide(std::string("\xff\xfe{\0}\0", 6));
    QVERIFY(batchscope::sentence_of<DataError>([&] {
              wide.reader();
            }).ends_with("' is UTF-16; expected UTF-8."));
  }

  void whole_numbers_are_told_from_others() {
    const auto whole = [](const char* text) {
      const JsonFile file(text);
      JsonReader r = file.reader();
      return r.integer();
    };
    QCOMPARE(whole("1.6409952e+18"), std::int64_t{1640995200000000000});
    QCOMPARE(whole("-12.50e3"), std::int64_t{-12500});
    QCOMPARE(whole("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
    const auto refused = [](const char* text) {
      const std::string said = error_of(text, [](JsonReader& r) { r.integer(); });
      return said.substr(said.find("expected"));
    };
    QCOMPARE(refused("20240131235959123456789"),
             std::string("expected a whole number of at most 18 digits."));
    QCOMPARE(refused("9.3e18"), std::string("expected a whole number of at most 18 digits."));
    QCOMPARE(refused("1.5"), std::string("expected a whole number."));
    QCOMPARE(refused("\"p0.png\""),
             std::string("expected a whole number, found the text 'p0.png'."));
    QCOMPARE(refused("null"), std::string("expected a whole number, found null."));
  }

  void numbers_equal_strtod() {
    std::mt19937_64 random(1);
    std::vector<std::string> texts = {"0",
                                      "-0",
                                      "0.1",
                                      "5e-324",
                                      "1e-400",
                                      "1.7976931348623157e308",
                                      "1e22",
                                      "1e23",
                                      "123456789012345678901234567890",
                                      "0.30000000000000004",
                                      "9007199254740993.0",
                                      "2.2250738585072011e-308",
                                      "100000000000000000000e-20"};
    for (int i = 0; i < 20000; ++i) {
      char text[64];
      const auto bits = random();
      double v = 0;
      static_assert(sizeof v == sizeof bits);
      std::memcpy(&v, &bits, sizeof v);
      if (std::isfinite(v)) {
        std::snprintf(
            text, sizeof text, "%.*g", int(random() % 20) + 1, i % 2 == 0 ? v : std::fmod(v, 1e4));
        texts.emplace_back(text);
      }
    }
    std::string all = "[";
    for (const auto& text : texts) {
      all += (all.size() > 1 ? "," : "") + text;
    }
    const JsonFile file(all + "]");
    JsonReader r = file.reader();
    r.begin_list();
    for (const auto& text : texts) {
      QVERIFY(r.item());
      const double found = r.number(), wanted = std::strtod(text.c_str(), nullptr);
      const bool tiny = std::abs(wanted) < 1e-323;  // below the least number: 0 is as good
      QVERIFY2(found == wanted || tiny, text.c_str());
    }
    QVERIFY(!r.item());
  }

  // Values of all kinds across the ends of the buffer.
  void long_files() {
    std::string all = "[";
    for (int i = 0; i < 60000; ++i) {
      all += (i > 0 ? " ,\n" : "") + std::string("{\"number\":") + std::to_string(i) +
             ".5,\"text\":\"" + std::string(std::size_t(i % 40), 'x') + "\\\\\u00fc\"}";
    }
    const std::string huge(700000, 'y');
    const JsonFile file(all + ",\"" + huge + "\"]");
    JsonReader r = file.reader();
    std::string_view key;
    r.begin_list();
    for (int i = 0; i < 60000; ++i) {
      QVERIFY(r.item());
      QCOMPARE(r.index(), std::size_t(i));
      r.begin_object();
      QVERIFY(r.key(key) && key == "number");
      QCOMPARE(r.number(), i + 0.5);
      QVERIFY(r.key(key) && key == "text");
      QCOMPARE(std::string(r.text()), std::string(std::size_t(i % 40), 'x') + "\\\u00fc");
      QVERIFY(!r.key(key));
    }
    QVERIFY(r.item() && r.text() == huge);
    QVERIFY(!r.item());
    r.finish();
  }

  void pythons_numbers() {
    const JsonFile file("[NaN, Infinity, -Infinity]");
    JsonReader r = file.reader();
    r.begin_list();
    QVERIFY(r.item() && std::isnan(r.any_number()));
    QVERIFY(r.item());
    QCOMPARE(r.any_number(), HUGE_VAL);
    QVERIFY(r.item());
    QCOMPARE(r.any_number(), -HUGE_VAL);
    QCOMPARE(error_of("[NaN]",
                      [](JsonReader& reader) {
                        reader.begin_list();
                        reader.item();
                        reader.number();
                      }),
             std::string("line 1, column 4 (byte 4): [0]: expected a finite number."));
  }

  void errors_say_where_data() {
    QTest::addColumn<QString>("content");
    QTest::addColumn<QString>("said");
    const auto row = [](const char* content, const char* said) {
      QTest::newRow(content) << QString::fromLatin1(content) << QString::fromLatin1(said);
    };
    row("", "line 1, column 0 (byte 0): unexpected end");
    row("[1, 2", "unexpected end of input");
    row("{\"a\":\n [1 2]}", "line 2, column 4 (byte 10): expected ',' or ']'");
    row("[1,]", "a comma before the closing bracket");
    row("{\"a\":1,}", "a comma before the closing bracket");
    row("{\"a\" 1}", "expected ':'");
    row("{1: 2}", "expected a key in quotes");
    row("[tru]", "expected true");
    row("[nul", "expected null");
    row("[01]", "expected a value");
    row("[1.]", "expected a value");
    row("[1e]", "expected a value");
    row("[+1]", "expected a value");
    row("[-]", "expected a value");
    row("[x]", "expected a value");
    row("[1e999]", "number overflow");
    row("[\"a\nb\"]", "control character");
    row("[\"a\\x\"]", "broken escape");
    row("[\"a\\u12g4\"]", "broken escape");
    row("[\"\\ud800\"]", "broken escape");
    row("[\"\\udc00\"]", "surrogate");
    row("[\"abc", "unexpected end of input inside a text");
    row("[\"abc\\", "unexpected end of input inside a text");
    row("[\"h\xfcnd\"]", "ill-formed UTF-8");
    row("[\"\xed\xa0\x80\"]", "ill-formed UTF-8");
    row("[\"\xc0\x80\"]", "ill-formed UTF-8");
    row("[1] 2", "something follows");
  }
  void errors_say_where() {
    QFETCH(QString, content);
    QFETCH(QString, said);
    const auto error = QString::fromStdString(error_of(content.toLatin1().toStdString()));
    QVERIFY2(error.contains(said), qPrintable(error));
  }

  void deep_and_long_is_refused() {
    QVERIFY(error_of(std::string(1000000, '[')).find("more than 200 deep") != std::string::npos);
    std::string deep;
    for (int i = 0; i < 1000; ++i) {
      deep += "{\"a\":";
    }
    QVERIFY(error_of(deep).find("more than 200 deep") != std::string::npos);
    QVERIFY(error_of("[" + std::string(500000, '1') + "]").find("more than 1024 characters") !=
            std::string::npos);
    QVERIFY(error_of("[" + std::string(900, '1') + "]").find("overflow") != std::string::npos);
  }

  void places_after_the_first_buffer() {
    const std::string lines(400000, '\n');
    QVERIFY(error_of("[" + lines + "  x]").find("line 400001, column 2 (byte 400003)") == 0);
    QVERIFY(error_of("[" + std::string(400000, ' ') + "x]")
                .find("line 1, column 400001 (byte 400001)") == 0);
  }

  void other_types() {
    const auto with = [](const std::function<void(JsonReader&)>& read) {
      return error_of("{\"a\":[{\"b\":\"x\"}]}", [&read](JsonReader& r) {
        std::string_view key;
        r.begin_object();
        r.key(key);
        r.begin_list();
        r.item();
        r.begin_object();
        r.key(key);
        read(r);
      });
    };
    const std::string where = "line 1, column 11 (byte 11): a[0].b: expected ";
    QCOMPARE(with([](JsonReader& r) { r.integer(); }),
             where + "a whole number, found the text 'x'.");
    QCOMPARE(with([](JsonReader& r) { r.number(); }), where + "a number.");
    QCOMPARE(with([](JsonReader& r) { r.begin_list(); }), where + "a list.");
    QCOMPARE(with([](JsonReader& r) { r.begin_object(); }), where + "an object.");
    QCOMPARE(with([](JsonReader& r) { r.flag(); }), where + "a whole number, found the text 'x'.");
    QVERIFY_THROWS_EXCEPTION(DataError, JsonReader("/nowhere/a.json", "The file"));
    QVERIFY_THROWS_EXCEPTION(DataError, JsonReader("/", "The file").next());
  }
};

BATCHSCOPE_TEST(TestJsonReader)
#include "tst_json_reader.moc"
