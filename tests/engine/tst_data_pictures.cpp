#include "engine/contract/error.h"
#include "engine/data/exif.h"
#include "engine/data/image_file.h"
#include "engine/data/picture_header.h"
#include "tests/support/data_folder.h"
#include "tests/support/test_program.h"

#include <torch/types.h>

#include <QtTest>

#include <nlohmann/json.hpp>

#include <fstream>
#include <iterator>

using namespace batchscope;
using nlohmann::json;

namespace {

const std::string kFolder = BATCHSCOPE_FIXTURES "/engine/pictures/";

json read_json(const std::string& name) {
  std::ifstream file(kFolder + name);
  return json::parse(file);
}

std::vector<std::uint8_t> bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// An APP1 segment with one directory: a width, then the orientation.
std::vector<std::uint8_t> exif_segment(bool little, std::uint8_t orientation, bool as_long) {
  std::vector<std::uint8_t> bytes = {'E', 'x', 'i', 'f', 0, 0};
  const auto put = [&](std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i) {
      bytes.push_back(static_cast<std::uint8_t>(value >> 8 * (little ? i : count - 1 - i)));
    }
  };
  bytes.insert(bytes.end(), 2, little ? 'I' : 'M');
  put(42, 2);
  put(8, 4);
  put(2, 2);
  put(0x0100, 2);
  put(4, 2);
  put(1, 4);
  put(640, 4);
  put(0x0112, 2);
  put(as_long ? 4 : 3, 2);
  put(1, 4);
  put(orientation, as_long ? 4 : 2);
  put(0, as_long ? 4 : 6);
  return bytes;
}

/// The sentence of the DataError, or empty when the picture was decoded.
std::string error_of(std::span<const std::uint8_t> bytes) {
  return sentence_of<contract::DataError>([&] { train::decode_picture(bytes, "some/picture.x"); });
}

}  // namespace

class TestDataPictures : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  // Values made by PIL; see make_pictures.py.
  void decodes_as_pil_data() {
    QTest::addColumn<QByteArray>("rgb");
    QTest::addColumn<int>("width");
    QTest::addColumn<int>("height");
    const json all = read_json("pictures.json");
    QCOMPARE(all.size(), std::size_t{15});
    for (const auto& [name, p] : all.items()) {
      QTest::newRow(name.c_str()) << QByteArray::fromHex(QByteArray::fromStdString(p["rgb"]))
                                  << p["width"].get<int>() << p["height"].get<int>();
    }
  }
  void decodes_as_pil() {
    QFETCH(QByteArray, rgb);
    QFETCH(int, width);
    QFETCH(int, height);
    const torch::Tensor image = train::read_picture(kFolder + QTest::currentDataTag());
    QCOMPARE(image.sizes(), (std::vector<std::int64_t>{3, height, width}));
    const torch::Tensor expected =
        torch::from_blob(rgb.data(), {height, width, 3}, torch::kUInt8).permute({2, 0, 1});
    QVERIFY(torch::equal(image, expected));
  }

  void cut_and_damaged_files_are_errors_data() {
    QTest::addColumn<QString>("file");
    for (const char* name :
         {"rgb.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg", "rgb.png", "interlaced.png"}) {
      QTest::newRow(name) << QString::fromLatin1(name);
    }
  }
  void cut_and_damaged_files_are_errors() {
    QFETCH(QString, file);
    const auto whole = bytes_of(kFolder + file.toStdString());
    QVERIFY(error_of(whole).empty());
    // The last bytes are the end marker or the IEND chunk, without which all pixels are there.
    const std::size_t tail = file.endsWith(QLatin1String("png")) ? 12 : 2;
    for (std::size_t length = 1; length < whole.size() - tail - 4; ++length) {
      const std::string error = error_of(std::span(whole).first(length));
      QVERIFY2(error.find("'some/picture.x'") != std::string::npos,
               qPrintable(QString::number(length)));
    }
    QVERIFY(error_of(std::span(whole).first(whole.size() / 2)).find("damaged") !=
            std::string::npos);
  }

  // Whatever the bytes are, the answer is a picture or a DataError.
  void wrong_bytes_never_crash() {
    int errors = 0, decoded = 0;
    for (const char* name : {"rgb.jpg", "progressive.jpg", "rgb.png", "palette.png", "rgb16.png"}) {
      const auto whole = bytes_of(kFolder + name);
      for (std::size_t i = 8; i < whole.size(); ++i) {
        for (const std::uint8_t flip : {0x01, 0x80, 0xff}) {
          auto bytes = whole;
          bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ flip);
          (error_of(bytes).empty() ? decoded : errors) += 1;
        }
      }
    }
    QVERIFY(errors > 100 && decoded > 100);
  }

  void the_exif_orientation_is_read() {
    for (const bool little : {true, false}) {
      for (const bool as_long : {true, false}) {
        for (const std::uint8_t orientation : {1, 3, 6, 8}) {
          QCOMPARE(train::exif_orientation(exif_segment(little, orientation, as_long)),
                   int{orientation});
        }
        QCOMPARE(train::exif_orientation(exif_segment(little, 0, as_long)), 1);
        QCOMPARE(train::exif_orientation(exif_segment(little, 9, as_long)), 1);
      }
    }
    QCOMPARE(train::exif_orientation({}), 1);
    const std::string xmp = "http://ns.adobe.com/xap/1.0/";
    QCOMPARE(train::exif_orientation(std::vector<std::uint8_t>(xmp.begin(), xmp.end())), 1);
  }

  // Whatever the bytes are, the answer is an orientation, found within them (for the sanitizers).
  void damaged_exif_data_are_no_orientation() {
    const std::vector<std::uint8_t> whole = exif_segment(true, 6, false);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const std::vector<std::uint8_t> cut(whole.begin(),
                                          whole.begin() + static_cast<std::ptrdiff_t>(length));
      // The value lies at bytes 36 and 37.
      QCOMPARE(train::exif_orientation(cut), length < 38 ? 1 : 6);
    }
    for (std::size_t i = 0; i < whole.size(); ++i) {
      for (int value = 0; value < 256; ++value) {
        auto bytes = whole;
        bytes[i] = static_cast<std::uint8_t>(value);
        const int orientation = train::exif_orientation(bytes);
        QVERIFY(orientation >= 1 && orientation <= 8);
      }
    }
    auto bytes = whole;
    for (const std::size_t at : {10, 11, 12, 13}) {
      bytes[at] = 0xff;  // a directory far behind the end
    }
    QCOMPARE(train::exif_orientation(bytes), 1);
  }

  void other_files_are_named() {
    const auto sentence = [](const std::string& path) {
      return sentence_of<contract::DataError>([&] { train::read_picture(path); });
    };
    const std::string missing = sentence(kFolder + "none.jpg");
    QVERIFY(missing.find("none.jpg' does not exist") != std::string::npos);
    const std::string text = sentence(kFolder + "make_pictures.py");
    QVERIFY(text.find("make_pictures.py' is neither a JPEG nor a PNG") != std::string::npos);
    QVERIFY(!sentence(kFolder).empty());
    // Formats that tools write under a name of ours.
    const DataFolder folder;
    for (const auto& [begin, what] :
         {std::pair<std::string, std::string>{"RIFF....WEBPVP8 ", "WebP"},
          {"BM......", "BMP"},
          {"GIF89a..", "GIF"},
          {std::string("MM\0*....", 8), "TIFF"},
          {"....ftypavif", "AVIF"},
          {"<!DOCTYPE html>", "web page"},
          {"version https://git-lfs.github.com/spec/v1", "Git LFS"}}) {
      folder.write("a.jpg", begin);
      for (const std::string& said :
           {sentence(folder.path("a.jpg")), sentence_of<contract::DataError>([&] {
              train::read_picture_header(folder.path("a.jpg"));
            })}) {
        QVERIFY2(contains(said, "a.jpg' is a") && contains(said, what) &&
                     said.ends_with("; expected a JPEG or PNG file."),
                 said.c_str());
      }
    }
    QVERIFY(error_of({}).find("empty") != std::string::npos);
  }

  // Sums of each colour made by PIL over pictures that are not part of this repository.
  void real_pictures_equal_pil() {
    const std::string folder = shared_data();
    if (!QFileInfo::exists(QString::fromStdString(folder))) {
      QSKIP("the shared data (bccd, coco64) is not here");
    }
    const json all = read_json("real.json");
    QVERIFY(all.size() >= 12);
    for (const auto& [name, expected] : all.items()) {
      const torch::Tensor image = train::read_picture(folder + "/" + name);
      QCOMPARE(image.size(2), expected[0].get<std::int64_t>());
      QCOMPARE(image.size(1), expected[1].get<std::int64_t>());
      for (int c = 0; c < 3; ++c) {
        QCOMPARE(image[c].sum().item<std::int64_t>(),
                 expected[static_cast<std::size_t>(2 + c)].get<std::int64_t>());
      }
    }
  }
};

BATCHSCOPE_TEST(TestDataPictures)
#include "tst_data_pictures.moc"
