#include "models/weights/convert_weights.h"
#include "models/weights/crc32.h"
#include "models/weights/pickle_writer.h"
#include "models/weights/weight_error.h"
#include "tests/support/test_program.h"
#include "tests/support/weight_writing.h"

#include <torch/serialize.h>
#include <torch/types.h>

#include <QTemporaryDir>
#include <QtTest>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

using namespace batchscope;
using testing::write_weights;

namespace {

using Strings = std::vector<std::string>;

const std::filesystem::path kFixtures = BATCHSCOPE_FIXTURES "/models/weights";

const nlohmann::json& expected() {
  static const nlohmann::json values = [] {
    std::ifstream file(kFixtures / "expected.json");
    return nlohmann::json::parse(file);
  }();
  return values;
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The sum of make_weights.py, in which every element has another weight.
double weighted_sum(const torch::Tensor& tensor) {
  torch::Tensor values = tensor.reshape({-1});
  values = values.is_complex() ? torch::real(values).to(torch::kFloat64) +
                                     3 * torch::imag(values).to(torch::kFloat64)
                               : values.to(torch::kFloat64);
  return (values * torch::arange(1, values.numel() + 1, torch::kFloat64)).sum().item<double>();
}

bool same(const torch::Tensor& a, const torch::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         weighted_sum(a) == weighted_sum(b);
}

}  // namespace

class TestWeights : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void readsAsPython_data() {
    QTest::addColumn<QString>("name");
    for (const auto& [name, tensors] : expected().at("files").items()) {
      QTest::newRow(name.c_str()) << QString::fromStdString(name);
    }
  }
  /// Names and their order, types, shapes and values are those that torch and safetensors read.
  void readsAsPython() {
    QFETCH(QString, name);
    const models::TensorFile file(kFixtures / name.toStdString());
    const auto& tensors = expected().at("files").at(name.toStdString());
    QCOMPARE(file.index().entries.size(), tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const auto wanted = tensors[i][0].get<std::string>();
      if (!name.endsWith(QLatin1String(".safetensors"))) {
        QCOMPARE(file.index().entries[i].name, wanted);
      }
      const models::WeightEntry& entry = file.entries().at(wanted);
      QCOMPARE(std::string(models::python_name(entry.type)), tensors[i][1].get<std::string>());
      QCOMPARE(entry.shape, tensors[i][2].get<std::vector<std::int64_t>>());
      const torch::Tensor read = file.read(wanted);
      QVERIFY(read.is_contiguous());
      const double sum = weighted_sum(read), should = tensors[i][3].get<double>();
      QVERIFY2(std::abs(sum - should) <= 1e-12 * std::abs(should),
               qPrintable(QStringLiteral("%1: %2, expected %3")
                              .arg(QString::fromStdString(wanted))
                              .arg(sum)
                              .arg(should)));
    }
  }

  void saysWhereTheStateDictWas() {
    const models::TensorFile trainer(kFixtures / "trainer.pth");
    QCOMPARE(trainer.index().path, std::string("model"));
    const Strings others = {"optimizer: dict of 2",
                            "epoch: 3",
                            "args: argparse.Namespace",
                            "rng: tensor",
                            "model_ema: dict of 1"};
    QCOMPARE(trainer.index().others, others);
    const models::TensorFile views(kFixtures / "views.pth");
    QCOMPARE(views.index().path, std::string());
    QCOMPARE(views.index().skipped, Strings{"a note: \"not a tensor\""});
    QCOMPARE(models::TensorFile(kFixtures / "state_dict.pth").index().versions.size(),
             std::size_t{5});
  }

  /// LibTorch tags typed dicts with a call that torch.load refuses by default.
  void readsWhatLibTorchPickles() {
    c10::Dict<std::string, torch::Tensor> dict;
    dict.insert("a.weight", torch::arange(6, torch::kFloat32).reshape({2, 3}));
    dict.insert("a.half", torch::ones({2}, torch::kHalf));
    const std::vector<char> bytes = torch::pickle_save(dict);
    std::ofstream(path("pickled.pt"), std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    const models::TensorFile file(path("pickled.pt"));
    QCOMPARE(file.entries().size(), std::size_t{2});
    QVERIFY(torch::equal(file.read("a.weight"), dict.at("a.weight")));
    QVERIFY(torch::equal(file.read("a.half"), dict.at("a.half")));
  }

  /// The whole file is what torch.save wrote, but for the number that tells one saving from
  /// another.
  void writesTheBytesOfPython() {
    const models::TensorFile file(kFixtures / "state_dict.pth");
    models::convert_weights(file, path("state_dict.pth"), {});
    std::string ours = bytes_of(path("state_dict.pth")),
                theirs = bytes_of(kFixtures / "state_dict.pth");
    QCOMPARE(ours.size(), theirs.size());
    const std::string record = "state_dict/.data/serialization_id";
    const std::size_t name = theirs.find(record), directory = theirs.rfind(record);
    QVERIFY(name != directory);
    const std::size_t content = (name + record.size() + 63) / 64 * 64;
    for (std::string* bytes : {&ours, &theirs}) {
      bytes->replace(content, 40 + 8, std::string(48, '0'));   // and its check sum behind it,
      bytes->replace(directory - 30, 4, std::string(4, '0'));  // and in the directory
    }
    QVERIFY(ours == theirs);
  }

  void picklesManyTensorsAsPython() {
    std::vector<models::TensorSpec> tensors;
    for (std::int64_t i = 0; i < 2001; ++i) {
      tensors.push_back({"t" + std::to_string(i), models::TensorType::kF32, {i % 3 + 1}});
    }
    const std::string pickle = models::state_dict_pickle(tensors, {});
    QCOMPARE(pickle.size(), expected().at("many").at("bytes").get<std::size_t>());
    QCOMPARE(models::crc32(pickle.data(), pickle.size()),
             expected().at("many").at("crc32").get<std::uint32_t>());
  }

  void checkSums() {
    QCOMPARE(models::crc32("123456789", 9), 0xcbf43926U);  // the check value of CRC-32
    QCOMPARE(models::crc32("6789", 4, models::crc32("12345", 5)), 0xcbf43926U);
    QCOMPARE(models::crc32("", 0), 0U);
  }

  void convertsBothWays_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("out");
    for (const auto& [name, tensors] : expected().at("files").items()) {
      for (const char* out : {"out.pth", "out.safetensors"}) {
        QTest::newRow((name + " " + out).c_str())
            << QString::fromStdString(name) << QString::fromLatin1(out);
      }
    }
  }
  void convertsBothWays() {
    QFETCH(QString, name);
    QFETCH(QString, out);
    const models::TensorFile in(kFixtures / name.toStdString());
    const std::filesystem::path target = path(out.toStdString());
    const auto done = models::convert_weights(in, target, {.keep_names = true});
    const models::TensorFile written(target);
    QCOMPARE(done.tensors, in.entries().size());
    QCOMPARE(written.entries().size(), in.entries().size());
    for (std::size_t i = 0; i < done.tensors; ++i) {
      const std::string& one = in.index().entries[i].name;
      QCOMPARE(written.index().entries[i].name, one);
      QVERIFY2(same(in.read(one), written.read(one)), one.c_str());
    }
    QVERIFY(!std::filesystem::exists(target.string() + ".part"));
  }

  void convertsToTheNamesOfToday() {
    const models::TensorFile old(kFixtures / "old_names.pth");
    const auto done = models::convert_weights(old, path("current.safetensors"), {});
    QCOMPARE(done.renamed, std::size_t{7});
    const models::TensorFile file(path("current.safetensors"));
    QVERIFY(file.entries().contains("head.classification_head.conv.2.0.weight"));
    QVERIFY(file.entries().contains("roi_heads.box_head.fc6.weight"));
    QCOMPARE(file.metadata().at("format"), std::string("pt"));
  }

  void refusesToWriteNonsense() {
    const models::TensorFile file(kFixtures / "views.pth");
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument,
                             models::convert_weights(file, path("out.onnx"), {}));
    QVERIFY_THROWS_EXCEPTION(models::DiskError, models::convert_weights(file, "/none/out.pth", {}));
    QVERIFY_THROWS_EXCEPTION(
        std::invalid_argument,
        write_weights(path("twice.pth"), {{"a", torch::ones({1})}, {"a", torch::ones({1})}}));
    QVERIFY(!std::filesystem::exists(path("twice.pth")));
    QVERIFY_THROWS_EXCEPTION(models::WeightError, models::TensorFile("/none.pth"));
    QVERIFY_THROWS_EXCEPTION(models::WeightError, models::TensorFile("/tmp"));
  }

 private:
  std::filesystem::path path(const std::string& name) const {
    return std::filesystem::path(folder_.path().toStdString()) / name;
  }
  QTemporaryDir folder_;
};

BATCHSCOPE_TEST(TestWeights)
#include "tst_weights.moc"
