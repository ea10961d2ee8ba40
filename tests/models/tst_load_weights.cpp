#include "models/factory.h"
#include "models/weights/load_weights.h"
#include "models/weights/weight_error.h"
#include "tests/support/sentences.h"
#include "tests/support/test_program.h"
#include "tests/support/weight_writing.h"

#include <torch/nn/module.h>

#include <QTemporaryDir>
#include <QtTest>

#include <algorithm>
#include <fstream>

using namespace batchscope;
using testing::write_weights;

namespace {

using Strings = std::vector<std::string>;

const std::filesystem::path kFixtures = BATCHSCOPE_FIXTURES "/models/weights";

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

/// What a model takes from a file, and what is said of the rest.
class TestLoadWeights : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  /// Large models are saved in parts, with an index of where each tensor is.
  void readsAFileInParts() {
    Head model;
    auto tensors = all_of(model, 2);
    const std::size_t half = tensors.size() / 2;
    const std::string first = "m-00001-of-00002.safetensors",
                      second = "m-00002-of-00002.safetensors";
    write_weights(path(first), {tensors.begin(), tensors.begin() + half});
    write_weights(path(second), {tensors.begin() + half, tensors.end()});
    const auto index = [&](const std::string& of_the_rest) {
      std::string map;
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        map += (i > 0 ? ", \"" : "\"") + tensors[i].first + "\": \"" +
               (i < half ? first : of_the_rest) + "\"";
      }
      std::ofstream(path("m.safetensors.index.json"))
          << R"({"metadata": {}, "weight_map": {)" << map << "}}";
      return path("m.safetensors.index.json");
    };
    const auto whole = models::load_weights(model, models::TensorFile(index(second)));
    QVERIFY(whole.complete() && whole.notes.empty());
    for (const auto& item : model.named_parameters()) {
      QVERIFY(all_are(item.value(), 2));
    }
    const auto part = models::load_weights(model, models::TensorFile(path(first)));
    QVERIFY(!part.complete());
    QVERIFY2(part.summary().find("It is part 1 of 2: the index beside it") != std::string::npos,
             part.summary().c_str());
    const std::vector<std::pair<std::string, std::string>> faults = {
        {first, "lacks tensor"},
        {"m-00003.safetensors", "m-00003.safetensors"},
        {"../x/m.safetensors", "expected a file beside it"}};
    for (const auto& fault : faults) {
      const std::string sentence =
          sentence_of<models::WeightError>([&] { models::TensorFile(index(fault.first)); });
      QVERIFY2(sentence.find(fault.second) != std::string::npos, sentence.c_str());
    }
  }

  /// One name in common is chance: Detectron2's classifier has the name of ours, its background is
  /// the last class.
  void refusesTheModelsOfOtherFrameworks() {
    Head model;
    std::vector<std::pair<std::string, torch::Tensor>> other = {
        {"roi_heads.box_predictor.cls_score.weight", torch::ones({3, 5})}};
    for (int i = 0; i < 20; ++i) {
      other.emplace_back("backbone.bottom_up.res" + std::to_string(i), torch::ones({1}));
    }
    write_weights(path("d2.pth"), other);
    for (int i = 0; i < 20; ++i) {
      model.register_parameter("more" + std::to_string(i), torch::zeros({1}));
    }
    const std::string said = sentence_of<models::WeightError>(
        [&] { models::load_weights(model, models::TensorFile(path("d2.pth"))); });
    QVERIFY2(said.find("fits next to nothing of the model, 1 of its 21 names (its names are "
                       "Detectron2's, expected torchvision's): it has \"") != std::string::npos,
             said.c_str());
  }

  void loadsAllOfAModel() {
    Head model;
    write_weights(path("all.pth"), all_of(model, 2));
    const auto report = models::load_weights(model, models::TensorFile(path("all.pth")));
    QVERIFY(report.complete());
    QCOMPARE(report.matched.size(), std::size_t{12});
    QVERIFY(report.table().empty());
    QCOMPARE(report.summary(), "12 of 12 tensors from " + path("all.pth").string() + ".");
    const QString table = QString::fromStdString(report.table(models::LoadReport::Rows::kAll));
    QCOMPARE(table.count(QLatin1String("matched      ")), 12);
    QVERIFY2(table.contains(QStringLiteral("matched      rpn.head.cls_logits.bias  ")),
             qPrintable(table));
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
    write_weights(path("part.safetensors"), tensors);
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
    const QString all = QString::fromStdString(report.table(models::LoadReport::Rows::kAll));
    const std::vector<std::pair<const char*, int>> states = {{"matched  ", 7},
                                                             {"missing  ", 1},
                                                             {"unexpected  ", 1},
                                                             {"wrong shape  ", 2},
                                                             {"starts anew  ", 2},
                                                             {"renamed  ", 1}};
    for (const auto& [state, count] : states) {
      QCOMPARE(all.count(QLatin1String(state)), count);
    }
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
    write_weights(path("counting.pth"), all_of(counting, 3));
    write_weights(path("frozen.pth"), all_of(frozen, 3));
    const auto to_frozen = models::load_weights(frozen, models::TensorFile(path("counting.pth")));
    QVERIFY(to_frozen.complete() && to_frozen.unexpected.empty());
    QVERIFY(to_frozen.summary().find("1 num_batches_tracked of the file") != std::string::npos);
    const auto to_counting = models::load_weights(counting, models::TensorFile(path("frozen.pth")));
    QVERIFY(to_counting.complete());
    QVERIFY(to_counting.summary().find("1 num_batches_tracked are not") != std::string::npos);
    QVERIFY(all_are(counting.named_buffers()["backbone.body.bn1.num_batches_tracked"], 0));
  }

  /// Other classes of things and stuff: the predictors alone start anew, and the report says so.
  /// A group norm takes a batch norm's scale and shift alone, which is another layer.
  void saysThatStatisticsAreLost() {
    const auto trained = models::make_detector({.name = "tiny_retinanet", .norm = "bn"});
    write_weights(path("bn.pth"), all_of(*trained, 1));
    for (const auto& [norm, lost] : {std::pair{"gn", true}, {"frozen", false}, {"bn", false}}) {
      const auto model = models::make_detector({.name = "tiny_retinanet", .norm = norm});
      const auto report = models::load_weights(*model, models::TensorFile(path("bn.pth")));
      QCOMPARE(report.summary().find("running statistics of") != std::string::npos, lost);
    }
  }

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
    write_weights(path("classes.safetensors"), tensors);
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
    write_weights(
        path("resnet.pth"),
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
    write_weights(path("lightning.pth"), tensors);
    const auto report = models::load_weights(model, models::TensorFile(path("lightning.pth")));
    QVERIFY(report.complete() && report.renamed.empty());
    QVERIFY(report.summary().find("read without \"detector.\"") != std::string::npos);
  }

  /// Lightning's state_dict: criteria and metrics beside the model, wrappers around it.
  void loadsAModelBesideOtherThings_data() {
    QTest::addColumn<QString>("prefix");
    QTest::addColumn<QString>("read_without");
    QTest::newRow("lightning") << "model."
                               << "model.";
    QTest::newRow("compiled") << "model._orig_mod."
                              << "model.";
    QTest::newRow("strategy") << "_forward_module.model."
                              << "_forward_module.model.";
    QTest::newRow("averaged") << "module."
                              << "module.";
  }
  void loadsAModelBesideOtherThings() {
    QFETCH(QString, prefix);
    QFETCH(QString, read_without);
    Head model;
    // A name of the model's outside of it is not the model's.
    std::vector<std::pair<std::string, torch::Tensor>> tensors = {
        {"n_averaged", torch::ones({})},
        {"backbone.body.conv1.weight", torch::ones({2, 3, 1, 1})},
        {"criterion.weight", torch::ones({2})}};
    for (auto& [name, tensor] : all_of(model, 4)) {
      tensors.emplace_back(prefix.toStdString() + name, tensor);
    }
    write_weights(path("beside.pth"), tensors);
    const auto report = models::load_weights(model, models::TensorFile(path("beside.pth")));
    QVERIFY2(report.complete(), report.summary().c_str());
    QCOMPARE(report.unexpected,
             (Strings{"n_averaged", "backbone.body.conv1.weight", "criterion.weight"}));
    QVERIFY2(QString::fromStdString(report.summary())
                 .contains(QStringLiteral("read without \"%1\"").arg(read_without)),
             report.summary().c_str());
    for (const auto& item : model.named_parameters()) {
      QVERIFY2(all_are(item.value(), 4), item.key().c_str());
    }
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

  void refusesWhatHoldsNothing_data() {
    QTest::addColumn<QString>("header");
    QTest::addColumn<QString>("sentence");
    QTest::newRow("nothing") << QStringLiteral("{}") << QStringLiteral("' holds no tensors.");
    QTest::newRow("metadata alone")
        << QStringLiteral(R"({"__metadata__":{"format":"pt"}})") << QStringLiteral("no tensors.");
    QTest::newRow("a state without a model")
        << QStringLiteral(R"({"__metadata__":{"format":"batchscope-state-1"},)"
                          R"("optim/m":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})")
        << QStringLiteral("holds no tensors of a model, but \"optim: 1 tensors\".");
  }
  void refusesWhatHoldsNothing() {
    QFETCH(QString, header);
    QFETCH(QString, sentence);
    const std::string text = header.toStdString();
    const auto length = static_cast<std::uint64_t>(text.size());
    std::ofstream(path("none.safetensors"), std::ios::binary)
            .write(reinterpret_cast<const char*>(&length), sizeof length)
        << text;
    Head model;
    const models::TensorFile file(path("none.safetensors"));
    QVERIFY(file.entries().empty());
    try {
      models::load_weights(model, file);
      QFAIL("it was loaded");
    } catch (const models::WeightError& error) {
      const QString said = QString::fromUtf8(error.what());
      QVERIFY2(said.endsWith(sentence), error.what());
      QVERIFY2(said.contains(QString::fromStdString(path("none.safetensors").string())),
               error.what());
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
    write_weights(path("tiny.pth"), tensors);
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

BATCHSCOPE_TEST(TestLoadWeights)
#include "tst_load_weights.moc"
