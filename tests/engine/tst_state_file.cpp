#include "tests/support/test_program.h"
#include "tests/support/toy_training.h"

#include <QTemporaryDir>
#include <QtTest>

#include <cstring>
#include <fstream>

using namespace batchscope;
using namespace batchscope::testing;
namespace fs = std::filesystem;

namespace {

std::string refusal(const fs::path& file) {
  try {
    train::decode_state(train::read_bytes(file), file.filename().string());
  } catch (const contract::DataError& error) {
    return error.what();
  }
  return "";
}

/// The sentence about bytes that are no checkpoint; empty when they are one.
std::string refusal_of(const std::string& bytes) {
  try {
    train::decode_state(bytes, "x.ckpt");
  } catch (const contract::DataError& error) {
    return error.what();
  }
  return "";
}

/// A safetensors file of 8 bytes of data whose only tensor is said to be this.
std::string said_to_be(const std::string& tensor) {
  const std::string header =
      R"({"__metadata__":{"checksum":"0000000000000000","format":"batchscope-state-1","state":"{}"},)"
      R"("w":{)" +
      tensor + "}}";
  const auto length = static_cast<std::uint64_t>(header.size());
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header +
         std::string(8, '\0');
}

}  // namespace

/// The file of a training's state, and what is no such file.
class TestStateFile : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void containerKeepsEveryBit() {
    train::StateFile file;
    file.words = "{\"step\":3}";
    file.tensors = {{"a", torch::randn({3, 4})},
                    {"b", torch::tensor({std::nan(""), -0.0}, torch::kFloat64)},
                    {"c", torch::tensor({std::int64_t{1} << 40}, torch::kInt64)},
                    {"empty", torch::empty({0, 2})}};
    const train::StateFile back = train::decode_state(train::encode_state(file), "memory");
    QCOMPARE(back.words, file.words);
    QCOMPARE(back.tensors.size(), file.tensors.size());
    for (std::size_t i = 0; i < file.tensors.size(); ++i) {
      QCOMPARE(back.tensors[i].first, file.tensors[i].first);
      QVERIFY(equal_bits({back.tensors[i].second}, {file.tensors[i].second}));
    }
  }

  /// The copy is taken while the training goes on: what changes after before_change() is not in it.
  void savesWhatWasThereAtTheBoundary() {
    QTemporaryDir folder;
    const torch::Tensor weight = torch::ones({std::int64_t{1} << 22});  // not copied in no time
    train::TrainingState state;
    train::RunRecord record(nullptr, state);
    train::StateStore store(folder.path().toStdString(), state, record, [&weight] {
      train::StateFile file;
      file.words = "{}";
      for (int i = 0; i < 8; ++i) {
        file.tensors.emplace_back("weight/" + std::to_string(i), weight);
      }
      file.live = true;
      return file;
    });
    store.begin_save();
    store.before_change();
    weight.zero_();
    store.wait();
    QCOMPARE(store.trouble(), std::string());
    QCOMPARE(state.checkpoints.size(), std::size_t{1});
    const fs::path path = fs::path(folder.path().toStdString()) / state.checkpoints.front();
    const train::StateFile back = train::decode_state(train::read_bytes(path), "x.ckpt");
    QCOMPARE(back.tensors.size(), std::size_t{8});
    for (const auto& [name, tensor] : back.tensors) {
      QVERIFY2(tensor.min().item<float>() == 1.0F, name.c_str());
    }
  }

  void damageIsNamed() {
    QTemporaryDir folder;
    const fs::path file = folder.filePath(QStringLiteral("x.ckpt")).toStdString();
    train::StateFile state;
    state.words = "{}";
    state.tensors = {{"weight", torch::randn({64})}};
    const std::string bytes = train::encode_state(state);
    const auto write = [&](const std::string& data) {
      std::ofstream(file, std::ios::binary) << data;
    };
    write(bytes);
    QCOMPARE(refusal(file), std::string());
    write(bytes.substr(0, bytes.size() - 20));
    QVERIFY2(refusal(file).starts_with("Checkpoint x.ckpt is truncated") &&
                 refusal(file).find("ends at byte " + std::to_string(bytes.size()) +
                                    ", the file") != std::string::npos,
             refusal(file).c_str());
    write(bytes.substr(0, 40));
    QVERIFY(refusal(file).starts_with("Checkpoint x.ckpt is truncated"));
    write("");
    QCOMPARE(refusal(file), std::string("x.ckpt is not a Batchscope checkpoint."));
    write("these are not the bytes of a checkpoint at all");
    QCOMPARE(refusal(file), std::string("x.ckpt is not a Batchscope checkpoint."));
    for (const std::size_t at : {bytes.size() - 1, bytes.size() - 200, bytes.find("weight")}) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ 1);
      write(flipped);
      QVERIFY2(refusal(file).find("damaged") != std::string::npos, refusal(file).c_str());
    }
    QVERIFY_THROWS_EXCEPTION(contract::DataError, train::read_bytes(file.parent_path() / "none"));
  }

  /// Shapes and places come from the file: memory is asked for once they are checked.
  void hostileTensorsAreRefused() {
    for (const char* tensor :
         {R"("dtype":"F32","shape":[-1],"data_offsets":[0,8])",
          R"("dtype":"F32","shape":[-1,-2],"data_offsets":[0,8])",
          R"("dtype":"F32","shape":[1099511627776,1099511627776],"data_offsets":[0,8])",
          R"("dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104])",
          R"("dtype":"F32","shape":[3],"data_offsets":[0,8])",
          R"("dtype":"F32","shape":[2],"data_offsets":[8,0])",
          R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])",
          R"("dtype":"F32","shape":[2.5],"data_offsets":[0,8])",
          R"("dtype":"Q4","shape":[2],"data_offsets":[0,8])",
          R"("dtype":"F32","shape":[[2]],"data_offsets":[0,8])",
          R"("shape":[2],"data_offsets":[0,8])",
          R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"}) {
      const std::string said = refusal_of(said_to_be(tensor));
      QVERIFY2(said.starts_with("Checkpoint x.ckpt ") && said.find('\n') == std::string::npos &&
                   said.size() < 300,
               said.c_str());
    }
    // What is checked last.
    QVERIFY(refusal_of(said_to_be(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"))
                .ends_with("its checksum does not match."));
  }

  /// No cut and no changed byte of a training's own state is taken for a state.
  void everyDamageEndsInASentence() {
    QTemporaryDir folder;
    const fs::path place = folder.path().toStdString();
    contract::RunSpec spec = toy_spec("adamw", 4);
    spec.checkpoint.every_steps = 4;
    toy_run(spec, nullptr, torch::kFloat32, place).trainer->run();
    std::string bytes;
    for (const auto& entry : fs::directory_iterator(place / "checkpoints")) {
      bytes = train::read_bytes(entry.path());
    }
    QCOMPARE(refusal_of(bytes), std::string());
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    const std::size_t data = 8 + header;
    QVERIFY(header > 100 && data < bytes.size());
    const auto refused = [](const std::string& damaged) {
      const std::string said = refusal_of(damaged);
      return said.find("x.ckpt") != std::string::npos && said.find('\n') == std::string::npos;
    };
    const auto next = [data](std::size_t at) { return at < 64 ? 1 : at < data ? 13 : 997; };
    for (std::size_t at = 0; at < bytes.size(); at += next(at)) {
      QVERIFY2(refused(bytes.substr(0, at)), std::to_string(at).c_str());
      for (const char mask : {'\x01', '\x80'}) {
        std::string flipped = bytes;
        flipped[at] = static_cast<char>(flipped[at] ^ mask);
        QVERIFY2(refused(flipped), std::to_string(at).c_str());
      }
    }
    QVERIFY(refused(bytes + "x"));
  }
};

BATCHSCOPE_TEST(TestStateFile)
#include "tst_state_file.moc"
