#include "models/detector.h"
#include "models/weights/convert_weights.h"
#include "models/weights/crc32.h"
#include "models/weights/load_weights.h"
#include "models/weights/pickle_writer.h"
#include "models/weights/weight_error.h"

#include <torch/torch.h>

#include <QTemporaryDir>
#include <QtTest>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

using namespace batchscope;

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

void write(const std::filesystem::path& path,
           const std::vector<std::pair<std::string, torch::Tensor>>& tensors) {
  std::vector<models::TensorSpec> specs;
  for (const auto& [name, tensor] : tensors) {
    specs.push_back({name, models::tensor_type(tensor.scalar_type()), tensor.sizes().vec()});
  }
  models::TensorFileWriter writer(path, models::format_of(path), specs, {});
  for (const auto& [name, tensor] : tensors) {
    writer.write(tensor);
  }
  writer.finish();
}

/// A detector's head by torchvision's names: 3 classes with background, and a norm.
struct Head : torch::nn::Module {
  explicit Head(bool counts = true) {
    const auto add = [](torch::nn::Module& parent, const char* name) {
      return parent.register_module(name, std::make_shared<torch::nn::Module>());
    };
    const auto fill = [](torch::nn::Module& layer, const std::vector<std::int64_t>& shape) {
      layer.register_parameter("weight", torch::zeros(shape));
      layer.register_parameter("bias", torch::zeros({shape[0]}));
    };
    auto backbone = add(*this, "backbone");
    auto body = add(*backbone, "body");
    fill(*add(*body, "conv1"), {2, 3, 1, 1});
    auto norm = add(*body, "bn1");
    fill(*norm, {2});
    norm->register_buffer("running_mean", torch::zeros({2}));
    if (counts) {
      norm->register_buffer("num_batches_tracked", torch::zeros({}, torch::kInt64));
    }
    auto rpn = add(*add(*this, "rpn"), "head");
    fill(*add(*add(*add(*rpn, "conv"), "0"), "0"), {2, 2, 3, 3});
    fill(*add(*rpn, "cls_logits"), {3, 2, 1, 1});
    fill(*add(*add(*add(*this, "roi_heads"), "box_predictor"), "cls_score"), {3, 5});
  }
};

std::vector<std::pair<std::string, torch::Tensor>> all_of(const torch::nn::Module& model,
                                                          double value) {
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
  for (const auto& item : model.named_parameters()) {
    tensors.emplace_back(item.key(), torch::full_like(item.value().detach(), value));
  }
  for (const auto& item : model.named_buffers()) {
    tensors.emplace_back(item.key(), torch::full_like(item.value(), value));
  }
  return tensors;
}

bool all_are(const torch::Tensor& tensor, double value) {
  return tensor.eq(value).all().item<bool>();
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
    QVERIFY_EXCEPTION_THROWN(models::convert_weights(file, path("out.onnx"), {}),
                             models::WeightError);
    QVERIFY_EXCEPTION_THROWN(models::convert_weights(file, "/none/out.pth", {}), models::DiskError);
    QVERIFY_EXCEPTION_THROWN(
        write(path("twice.pth"), {{"a", torch::ones({1})}, {"a", torch::ones({1})}}),
        std::invalid_argument);
    QVERIFY(!std::filesystem::exists(path("twice.pth")));
    QVERIFY_EXCEPTION_THROWN(models::TensorFile("/none.pth"), models::WeightError);
    QVERIFY_EXCEPTION_THROWN(models::TensorFile("/tmp"), models::WeightError);
  }

  void loadsAllOfAModel() {
    Head model;
    write(path("all.pth"), all_of(model, 2));
    const auto report = models::load_weights(model, models::TensorFile(path("all.pth")));
    QVERIFY(report.complete());
    QCOMPARE(report.matched.size(), std::size_t{12});
    QVERIFY(report.table().empty());
    QCOMPARE(QString::fromStdString(report.summary()),
             QStringLiteral("12 of 12 tensors from all.pth."));
    for (const auto& [name, tensor] : all_of(model, 0)) {
      const auto* parameter = model.named_parameters().find(name);
      const auto* buffer = model.named_buffers().find(name);
      QVERIFY(all_are(parameter != nullptr ? *parameter : *buffer, 2));
    }
    QVERIFY(model.named_parameters()["rpn.head.cls_logits.bias"].requires_grad());
  }

  void saysWhatDidNotFit() {
    Head model;
    auto tensors = all_of(model, 2);
    std::erase_if(tensors, [](const auto& t) { return t.first == "backbone.body.conv1.bias"; });
    for (auto& [name, tensor] : tensors) {
      if (name == "backbone.body.conv1.weight") {
        tensor = torch::ones({2, 3, 3, 3});
      }
      if (name == "rpn.head.conv.0.0.weight") {
        name = "rpn.head.conv.weight";  // as before torchvision 0.13
      }
      if (name.starts_with("roi_heads.box_predictor.cls_score")) {
        auto shape = tensor.sizes().vec();
        shape[0] = 91;
        tensor = torch::ones(shape);
      }
      if (name == "rpn.head.cls_logits.bias") {
        tensor = torch::ones({9});
      }
      tensor = tensor.is_floating_point() ? tensor.to(torch::kBFloat16) : tensor;
    }
    tensors.emplace_back("roi_heads.mask_predictor.conv5_mask.weight", torch::ones({1}));
    write(path("part.safetensors"), tensors);
    const auto report = models::load_weights(model, models::TensorFile(path("part.safetensors")));
    QVERIFY(!report.complete());
    QCOMPARE(report.matched.size(), std::size_t{7});
    QCOMPARE(report.missing, Strings{"backbone.body.conv1.bias"});
    QCOMPARE(report.unexpected, Strings{"roi_heads.mask_predictor.conv5_mask.weight"});
    QCOMPARE(report.wrong_shape.size(), std::size_t{2});
    QCOMPARE(report.reinitialised.size(), std::size_t{2});
    QCOMPARE(report.renamed.size(), std::size_t{1});
    const QString table = QString::fromStdString(report.table());
    QVERIFY2(table.contains(QStringLiteral("[91, 5] in the file, [3, 5] in the model")),
             qPrintable(table));
    QCOMPARE(table.count(QLatin1Char('\n')), 7);
    const QString summary = QString::fromStdString(report.summary());
    QVERIFY2(summary.contains(QStringLiteral("91 outputs in the file, 3 in the model")),
             qPrintable(summary));
    auto parameters = model.named_parameters();
    QVERIFY(all_are(parameters["rpn.head.conv.0.0.weight"], 2));
    QCOMPARE(parameters["rpn.head.conv.0.0.weight"].scalar_type(), torch::kFloat32);
    QVERIFY(all_are(parameters["roi_heads.box_predictor.cls_score.weight"], 0));
    QVERIFY(all_are(parameters["backbone.body.conv1.weight"], 0));
  }

  /// Frozen norms have no counter; either side may lack it.
  void toleratesCounters() {
    Head counting(true), frozen(false);
    write(path("counting.pth"), all_of(counting, 3));
    write(path("frozen.pth"), all_of(frozen, 3));
    const auto to_frozen = models::load_weights(frozen, models::TensorFile(path("counting.pth")));
    QVERIFY(to_frozen.complete() && to_frozen.unexpected.empty());
    QVERIFY(to_frozen.summary().find("1 num_batches_tracked of the file") != std::string::npos);
    const auto to_counting = models::load_weights(counting, models::TensorFile(path("frozen.pth")));
    QVERIFY(to_counting.complete());
    QVERIFY(to_counting.summary().find("1 num_batches_tracked are not") != std::string::npos);
    QVERIFY(all_are(counting.named_buffers()["backbone.body.bn1.num_batches_tracked"], 0));
  }

  /// Other classes of things and stuff: the predictors alone start anew, and the report says so.
  void carriesAcrossNumbersOfClasses_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<int>("predictors");
    QTest::newRow("faster_rcnn") << "tiny_faster_rcnn" << 4;
    QTest::newRow("mask_rcnn") << "tiny_mask_rcnn" << 6;
    QTest::newRow("retinanet") << "tiny_retinanet" << 2;
    QTest::newRow("semantic_fpn") << "tiny_semantic_fpn" << 2;
    QTest::newRow("panoptic_fpn") << "tiny_panoptic_fpn" << 8;
  }
  void carriesAcrossNumbersOfClasses() {
    QFETCH(QString, name);
    QFETCH(int, predictors);
    const auto build = [&](std::int64_t things, std::int64_t stuff, std::uint64_t seed) {
      return models::make_detector({.name = name.toStdString(),
                                    .num_classes = things,
                                    .stuff_classes = stuff,
                                    .seed = seed});
    };
    const auto source = build(3, 2, 1), model = build(5, 7, 2), untouched = build(5, 7, 2);
    std::vector<std::pair<std::string, torch::Tensor>> tensors;
    for (const auto& item : source->named_parameters()) {
      tensors.emplace_back(item.key(), item.value());
    }
    write(path("classes.safetensors"), tensors);
    const auto report =
        models::load_weights(*model, models::TensorFile(path("classes.safetensors")));
    QCOMPARE(static_cast<int>(report.reinitialised.size()), predictors);
    QCOMPARE(report.matched.size() + report.reinitialised.size(), tensors.size());
    QVERIFY(report.missing.empty());
    QVERIFY2(report.summary().find("outputs in the file") != std::string::npos,
             report.summary().c_str());
    const auto parameters = model->named_parameters();
    for (const auto& [key, in_file, in_model] : report.reinitialised) {
      QVERIFY2(torch::equal(parameters[key], untouched->named_parameters()[key]), key.c_str());
    }
    for (const std::string& key : report.matched) {
      QVERIFY2(torch::equal(parameters[key], source->named_parameters()[key]), key.c_str());
    }
  }

  void loadsABackboneAlone() {
    Head model;
    write(path("resnet.pth"),
          {{"conv1.weight", torch::ones({2, 3, 1, 1})}, {"fc.weight", torch::ones({10, 2})}});
    const auto report = models::load_weights(model, models::TensorFile(path("resnet.pth")));
    QCOMPARE(report.matched, Strings{"backbone.body.conv1.weight"});
    QCOMPARE(report.unexpected, Strings{"backbone.body.fc.weight"});
    QVERIFY(report.summary().find("read below \"backbone.body.\"") != std::string::npos);
  }

  void loadsFromATrainersModule() {
    Head model;
    auto tensors = all_of(model, 4);
    for (auto& [name, tensor] : tensors) {
      name.insert(0, "detector.");
    }
    write(path("lightning.pth"), tensors);
    const auto report = models::load_weights(model, models::TensorFile(path("lightning.pth")));
    QVERIFY(report.complete() && report.renamed.empty());
    QVERIFY(report.summary().find("read without \"detector.\"") != std::string::npos);
  }

  void refusesWhatFitsNothing() {
    Head model;
    try {
      models::load_weights(model, models::TensorFile(kFixtures / "old_names.pth"));
      QFAIL("it was loaded");
    } catch (const models::WeightError& error) {
      QVERIFY2(std::string(error.what()).find("fits nothing") != std::string::npos, error.what());
    }
  }

  /// A model of ours, saved and loaded, is the model.
  void keepsADetector() {
    const auto a = models::make_detector({.name = "tiny_faster_rcnn", .seed = 1});
    const auto b = models::make_detector({.name = "tiny_faster_rcnn", .seed = 2});
    std::vector<std::pair<std::string, torch::Tensor>> tensors;
    for (const auto& item : a->named_parameters()) {
      tensors.emplace_back(item.key(), item.value());
    }
    for (const auto& item : a->named_buffers()) {
      tensors.emplace_back(item.key(), item.value());
    }
    write(path("tiny.pth"), tensors);
    const auto report = models::load_weights(*b, models::TensorFile(path("tiny.pth")));
    QVERIFY(report.complete() && report.unexpected.empty() && report.renamed.empty());
    for (const auto& item : b->named_parameters()) {
      QVERIFY(torch::equal(item.value(), a->named_parameters()[item.key()]));
    }
  }

 private:
  std::filesystem::path path(const std::string& name) const {
    return std::filesystem::path(folder_.path().toStdString()) / name;
  }
  QTemporaryDir folder_;
};

QTEST_GUILESS_MAIN(TestWeights)
#include "tst_weights.moc"
