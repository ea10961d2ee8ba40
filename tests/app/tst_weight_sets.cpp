#include "app/weights_model.h"
#include "engine/contract/error.h"
#include "models/factory.h"
#include "tests/support/sentences.h"
#include "tests/support/test_program.h"

#include <torch/serialize.h>

#include <QTemporaryDir>
#include <QtTest>

#include <fstream>
#include <iostream>
#include <sstream>

using namespace batchscope;

namespace {

using Dict = c10::Dict<std::string, torch::Tensor>;

const std::string kName = "lab_faster_rcnn";

Dict all_of(const models::Detector& model, double value, const std::string& prefix = {}) {
  Dict tensors;
  for (const auto& item : model.named_parameters()) {
    tensors.insert(prefix + item.key(), torch::full_like(item.value().detach(), value));
  }
  return tensors;
}

/// What is written to stderr meanwhile.
template <class Work>
std::string told(const Work& work) {
  std::ostringstream text;
  std::streambuf* before = std::cerr.rdbuf(text.rdbuf());
  work();
  std::cerr.rdbuf(before);
  return text.str();
}

}  // namespace

/// Trainers save several weights in one file: which are taken is chosen and said.
class TestWeightSets : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() {
    const auto model = models::make_detector({.name = kName, .num_classes = 2});
    c10::Dict<std::string, Dict> sets;
    sets.insert("model", all_of(*model, 1));
    // As torch.optim.swa_utils.AveragedModel has it.
    Dict average = all_of(*model, 2, "module.");
    average.insert("n_averaged", torch::ones({}));
    sets.insert("model_ema", average);
    const std::vector<char> bytes = torch::pickle_save(sets);
    std::ofstream(file(), std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  void whichAreTakenIsSaid() {
    const std::string text = told([&] {
      const auto model = app::model_of_weights(kName, file(), {});
      QCOMPARE(model.classes.counts.things, 2);
      QVERIFY(model.model->parameters().front().eq(1).all().item<bool>());
    });
    QVERIFY2(text.find("(\"model\"). It also holds model_ema: --weights-key") != std::string::npos,
             text.c_str());
  }

  void aKeyTakesTheOthers() {
    const std::string text = told([&] {
      const auto model = app::model_of_weights(kName, file(), {"model.weights_key=model_ema"});
      for (const torch::Tensor& tensor : model.model->parameters()) {
        QVERIFY(tensor.eq(2).all().item<bool>());
      }
    });
    QVERIFY2(text.find("(\"model_ema\"). It also holds model: ") != std::string::npos,
             text.c_str());
  }

  void aRunStartsFromThem() {
    contract::RunSpec spec;
    spec.model.name = kName;
    spec.model.weights = file();
    QVERIFY(app::start_model(spec, {2, 0}).model->parameters().front().eq(1).all().item<bool>());
    spec.model.weights_key = "model_ema";
    const app::StartModel start = app::start_model(spec, {2, 0});
    QVERIFY(start.model->parameters().front().eq(2).all().item<bool>());
    QVERIFY(start.loaded->summary().find("It also holds model: ") != std::string::npos);
  }

  void aKeyThatIsNotThereIsNamed() {
    const std::string sentence = sentence_of<contract::DataError>(
        [&] { app::model_of_weights(kName, file(), {"model.weights_key=ema"}); });
    QVERIFY2(sentence.ends_with("has no weights at the key \"ema\"; it has them at \"model\", "
                                "\"model_ema\"."),
             sentence.c_str());
    contract::RunSpec spec;
    spec.model.weights_key = "model_ema";
    QVERIFY_THROWS_EXCEPTION(contract::SpecError, contract::validate(spec));
  }

 private:
  std::string file() const { return folder_.path().toStdString() + "/trainer.pth"; }
  QTemporaryDir folder_;
};

BATCHSCOPE_TEST(TestWeightSets)
#include "tst_weight_sets.moc"
