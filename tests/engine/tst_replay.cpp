#include "engine/contract/error.h"
#include "engine/train/replay.h"
#include "models/weights/tensor_file.h"
#include "tests/support/test_program.h"

#include <QTemporaryDir>
#include <QtTest>

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <sstream>

using namespace batchscope;

namespace {

const std::filesystem::path kFixtures = BATCHSCOPE_FIXTURES "/optim/replay";

using Tensors = std::map<std::string, torch::Tensor>;

/// Input, cases and expected tensors of make_replay.py.
struct Fixtures {
  Tensors input, expected;
  std::map<std::string, std::string> metadata;
  nlohmann::json cases;
  std::vector<std::int64_t> kept;
  std::vector<std::string> names;

  Fixtures() {
    input = models::read_tensors(kFixtures / "input.safetensors");
    metadata = models::TensorFile(kFixtures / "input.safetensors").metadata();
    expected = models::read_tensors(kFixtures / "expected.safetensors");
    std::ifstream file(kFixtures / "cases.json");
    nlohmann::json all = nlohmann::json::parse(file);
    kept = all.at("kept").get<std::vector<std::int64_t>>();
    names = all.at("names").get<std::vector<std::string>>();
    cases = all.at("cases");
  }
};

const Fixtures& fixtures() {
  static const Fixtures loaded;
  return loaded;
}

void write_tensors(const std::filesystem::path& path,
                   const Tensors& tensors,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<models::TensorSpec> entries;
  for (const auto& [name, tensor] : tensors) {
    entries.push_back({name, models::tensor_type(tensor.scalar_type()), tensor.sizes().vec()});
  }
  models::TensorFileWriter writer(
      path, models::WeightFormat::kSafetensors, entries, {.metadata = metadata});
  for (const auto& [name, tensor] : tensors) {
    writer.write(tensor);
  }
  writer.finish();
}

/// Largest distance of a row from what is expected, as a part of that row's norm, over its tensors.
double distance(const torch::Tensor& found, const torch::Tensor& expected) {
  const auto difference = (found - expected).norm().item<double>();
  return difference == 0 ? 0 : difference / std::max(expected.norm().item<double>(), 1e-3);
}

struct Worst {
  double param = 0, trust = 0, mu = 0, d = 0;
  std::int64_t step = 0;  // of the first row whose weights are off by a thousandth of `param`
};

/// Plays a case in `dtype` and compares all that the fixtures hold of it.
Worst play(const std::filesystem::path& folder, std::size_t index, torch::ScalarType dtype) {
  const Fixtures& f = fixtures();
  const std::filesystem::path in = folder / (dtype == torch::kFloat64 ? "in64" : "in32");
  if (!std::filesystem::exists(in)) {
    Tensors converted;
    for (const auto& [name, tensor] : f.input) {
      converted[name] = tensor.to(dtype);
    }
    write_tensors(in, converted, f.metadata);
  }
  const std::filesystem::path out = folder / "out";
  const std::string spec = f.cases[index].at("spec").get<std::string>();
  train::replay(contract::parse_spec(spec), in, out);
  const models::TensorFile file(out);
  const std::string prefix = std::to_string(index);
  Worst worst;
  const auto compare = [&](const char* kind, double& largest) {
    const torch::Tensor rows = f.expected.at(prefix + "/" + kind);
    for (std::size_t row = 0; row < f.kept.size(); ++row) {
      torch::Tensor left = rows[static_cast<std::int64_t>(row)];
      for (const std::string& name : f.names) {
        // What a switch carries of a tensor without gradients is what is left of decay terms that
        // cancel: rounding in float32, which a trust ratio makes as large as any update.
        const bool rounding = dtype == torch::kFloat32 &&
                              spec.find("events") != std::string::npos &&
                              (name == "head.dead.weight" || name == "aux.weight");
        const torch::Tensor found =
            file.read(std::string(kind) + "/" + std::to_string(f.kept[row]) + "/" + name)
                .to(torch::kFloat64)
                .reshape({-1});
        const double off = distance(found, left.narrow(0, 0, found.numel()));
        left = left.narrow(0, found.numel(), left.numel() - found.numel());
        if (rounding) {
          continue;
        }
        largest = std::isfinite(off) ? std::max(largest, off) : 1e300;
        if (worst.step == 0 && off > 1e-6) {
          worst.step = f.kept[row];
        }
      }
    }
  };
  compare("param", worst.param);
  if (f.expected.contains(prefix + "/trust")) {
    compare("trust", worst.trust);
  }
  const auto compare_all = [&](const char* kind, double& largest) {
    const torch::Tensor rows = f.expected.at(prefix + "/" + kind);
    for (std::int64_t t = 1; t <= rows.size(0); ++t) {
      const torch::Tensor found =
          file.read(std::string(kind) + "/" + std::to_string(t)).to(torch::kFloat64);
      const torch::Tensor expected = rows[t - 1];
      if (!torch::equal(found.isnan(), expected.isnan())) {
        largest = 1e300;
        return;
      }
      largest = std::max(largest,
                         (found.nan_to_num() - expected.nan_to_num()).abs().max().item<double>());
    }
  };
  if (f.expected.contains(prefix + "/mu")) {
    compare_all("mu", worst.mu);
    compare_all("d", worst.d);
  }
  return worst;
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A file with this header and this many bytes of data.
std::string file_of(const std::string& header, std::size_t data) {
  const auto length = static_cast<std::uint64_t>(header.size());
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data, '\0');
}

}  // namespace

class TestReplay : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void agreesWithOthers_data() {
    QTest::addColumn<int>("index");
    int index = 0;
    for (const auto& one : fixtures().cases) {
      QTest::newRow(one.at("name").get<std::string>().c_str()) << index++;
    }
  }
  /// The same 200 steps by torch.optim, timm, or a transcription of the rules.
  void agreesWithOthers() {
    QFETCH(int, index);
    const std::filesystem::path folder = folder_.path().toStdString();
    const auto i = static_cast<std::size_t>(index);
    const auto text = [](const Worst& w) {
      return QStringLiteral("param %1 trust %2 mu %3 d %4 first at %5")
          .arg(w.param)
          .arg(w.trust)
          .arg(w.mu)
          .arg(w.d)
          .arg(w.step);
    };
    const Worst wide = play(folder, i, torch::kFloat64);
    QVERIFY2(std::max({wide.param, wide.trust, wide.mu, wide.d}) < 1e-7, qPrintable(text(wide)));
    const Worst narrow = play(folder, i, torch::kFloat32);
    QVERIFY2(narrow.param < kNarrow && narrow.mu < kNarrow && narrow.d < kNarrow,
             qPrintable(QStringLiteral("float32: ") + text(narrow)));
  }

  /// Files that cannot be played end in one sentence about what is wrong.
  void refusesBadFiles_data() {
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("sentence");
    const auto row = [](const char* name, const std::string& bytes, const char* sentence) {
      QTest::newRow(name) << QByteArray(bytes.data(), static_cast<qsizetype>(bytes.size()))
                          << QString::fromUtf8(sentence);
    };
    const std::string param =
        "\"param/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";
    const auto with = [&](const std::string& more, std::size_t data) {
      return file_of("{" + param + "," + more + "}", data);
    };
    const std::string grad =
        "\"grad/1/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}";
    row("empty", "", "is empty");
    row("short", "abc", "it is text, not weights");
    row("header too long", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10), "header would");
    row("header cut", file_of("{}", 0).substr(0, 9), "truncated");
    row("no JSON", file_of("hello", 0), "not a JSON object");
    row("a list", file_of("[]", 0), "not a JSON object");
    row("nothing", file_of("{}", 0), "no parameter");
    row("data cut", with(grad, 12), "truncated or damaged");
    row("too much data", with(grad, 20), "its data 20");
    row("overlap",
        with("\"grad/1/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}", 12),
        "overlaps");
    row("gap",
        with("\"grad/1/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[12,20]}", 20),
        "gap");
    row("outside",
        with("\"grad/1/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[800000,800008]}", 16),
        "ends at byte 800146, the file has");
    row("offsets turned",
        with("\"grad/1/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,8]}", 16),
        "data_offsets");
    row("negative offset",
        with("\"grad/1/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}", 16),
        "data_offsets");
    row("negative shape",
        with("\"grad/1/a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[8,16]}", 16),
        "no shape");
    row("wrong size",
        with("\"grad/1/a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[8,16]}", 16),
        "need 12");
    row("monstrous shape",
        with("\"grad/1/"
             "a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[8,16]}",
             16),
        "more than there can be");
    row("unknown dtype",
        with("\"grad/1/a\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[8,16]}", 16),
        "F31");
    row("twice", with(param + "," + grad, 16), "twice");
    row("integers",
        with("\"grad/1/a\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[8,16]}", 16),
        "dtype I32");
    row("other shape",
        with("\"grad/1/a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[8,16]}", 16),
        "shape [1, 2]");
    row("no such parameter",
        with("\"grad/1/b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}", 16),
        "no \"param/b\"");
    row("step zero",
        with("\"grad/0/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}", 16),
        "expected param/NAME");
    row("endless",
        with("\"grad/90000000/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}", 16),
        "of 1 steps only");
    row("whole and half",
        with(grad + ",\"grad_a/1/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]}",
             24),
        "both whole");
    row("no gradient", file_of("{" + param + "}", 8), "no gradient");
    row("modules", with(grad + ",\"__metadata__\":{\"modules\":\"[1]\"}", 16), "array of strings");
    row("module missing",
        with(grad + ",\"__metadata__\":{\"modules\":\"[\\\"x\\\"]\"}", 16),
        "module \"a\"");
    row("module twice",
        with(grad + ",\"__metadata__\":{\"modules\":\"[\\\"a\\\",\\\"a\\\"]\"}", 16),
        "twice");
    row("metadata", with(grad + ",\"__metadata__\":3", 16), "metadata");
    row("a name with a line break",
        with("\"grad/x\\ny\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}", 16),
        "grad/x?y");
  }
  void refusesBadFiles() {
    QFETCH(QByteArray, bytes);
    QFETCH(QString, sentence);
    const std::filesystem::path folder = folder_.path().toStdString();
    write_bytes(folder / "bad", bytes.toStdString());
    try {
      train::replay(contract::RunSpec{}, folder / "bad", folder / "never");
      QFAIL("it was played");
    } catch (const contract::Error& error) {
      const QString said = QString::fromUtf8(error.what());
      QCOMPARE(static_cast<int>(error.code()), 3);
      QVERIFY2(said.contains(sentence), error.what());
      QVERIFY2(!said.contains(QLatin1Char('\n')), error.what());
    }
    QVERIFY(!std::filesystem::exists(folder / "never"));
    QVERIFY(!std::filesystem::exists(folder / "never.part"));
  }

  /// Every cut of a good file and every changed byte of its header ends in an error or a replay.
  void survivesDamage() {
    const std::filesystem::path folder = folder_.path().toStdString();
    write_tensors(folder / "good",
                  {{"param/a.w", torch::ones({2})}, {"grad/1/a.w", torch::ones({2})}},
                  {{"modules", "[\"a\"]"}});
    const std::string good = bytes_of(folder / "good");
    const auto play_bytes = [&](const std::string& bytes) {
      write_bytes(folder / "damaged", bytes);
      try {
        train::replay(contract::RunSpec{}, folder / "damaged", folder / "out");
        return true;
      } catch (const contract::DataError&) {
        return false;
      }
    };
    QVERIFY(play_bytes(good));
    for (std::size_t cut = 0; cut < good.size(); ++cut) {
      QVERIFY(!play_bytes(good.substr(0, cut)));
    }
    for (std::size_t place = 0; place < good.size(); place += 3) {
      std::string changed = good;
      changed[place] = static_cast<char>(changed[place] ^ 0x15);
      play_bytes(changed);
    }
  }

  void writesWhatWasPromised() {
    const std::filesystem::path folder = folder_.path().toStdString();
    // Modules in the order of first appearance; half precision comes back in half precision.
    write_tensors(folder / "in",
                  {{"param/z.w", torch::ones({2, 2}, torch::kBFloat16)},
                   {"param/a.b", torch::ones({3}, torch::kBFloat16)},
                   {"grad/1/z.w", torch::ones({2, 2})},
                   {"grad/3/a.b", torch::ones({3})}},
                  {});
    const train::ReplaySummary done =
        train::replay(contract::parse_spec("optim.name = \"lamb\"\noptim.lr = 0.25\n"
                                           "schedule.warmup.kind = \"none\"\n"
                                           "schedule.decay.kind = \"none\"\n"),
                      folder / "in",
                      folder / "out");
    QCOMPARE(done.steps, 3);
    QCOMPARE(done.modules, 2);
    const models::TensorFile out(folder / "out");
    QCOMPARE(out.metadata().at("modules"), std::string("[\"a\",\"z\"]"));
    QCOMPARE(out.entries().size(), std::size_t{3 * (2 + 2 + 2)});
    QCOMPARE(out.entries().at("param/2/z.w").type, models::TensorType::kBF16);
    QCOMPARE(out.entries().at("trust/1/z.w").shape.size(), std::size_t{0});
    QCOMPARE(out.entries().at("mu/1").shape, std::vector<std::int64_t>{2});
    QVERIFY(out.read("d/1").isnan().all().item<bool>());
    QVERIFY(out.read("mu/3").eq(1).all().item<bool>());
    QCOMPARE(out.read("trust/1/a.b").item<float>(), 1.0F);
    // Nothing moves a 1-D tensor before it has a gradient.
    QVERIFY(out.read("param/2/a.b").eq(1).all().item<bool>());
    QVERIFY(!out.read("param/3/a.b").eq(1).all().item<bool>());
  }

  void refusesWhatCannotBeReplayed_data() {
    QTest::addColumn<QString>("spec");
    QTest::addColumn<QString>("field");
    QTest::newRow("undo") << QStringLiteral("[[events]]\nstep = 1\ncommand = \"undo\"\n")
                          << QStringLiteral("events.command");
    QTest::newRow("epochs of a coco set")
        << QStringLiteral("data.kind = \"coco\"\nschedule.epochs = 3\n")
        << QStringLiteral("schedule.epochs");
    QTest::newRow("agvm in the warm-up")
        << QStringLiteral(
               "optim.agvm.enabled = true\noptim.agvm.start = 3\nschedule.warmup.steps = 9\n")
        << QStringLiteral("optim.agvm.start");
    QTest::newRow("an event that cannot be carried out")
        << QStringLiteral(
               "[[events]]\nstep = 0\ncommand = \"optimizer\"\nargs = { \"optim.momentum\" = \"7\" "
               "}\n")
        << QStringLiteral("optim.momentum");
  }
  void refusesWhatCannotBeReplayed() {
    QFETCH(QString, spec);
    QFETCH(QString, field);
    const std::filesystem::path folder = folder_.path().toStdString();
    write_tensors(
        folder / "small", {{"param/a.w", torch::ones({2})}, {"grad/1/a.w", torch::ones({2})}}, {});
    try {
      train::replay(contract::parse_spec(spec.toStdString()), folder / "small", folder / "never");
      QFAIL("it was played");
    } catch (const contract::SpecError& error) {
      QCOMPARE(QString::fromStdString(error.field()), field);
    }
    QVERIFY(!std::filesystem::exists(folder / "never"));
  }

 private:
  /// Rounding of 200 steps in float32; cases in which it can flip a sign have none.
  static constexpr double kNarrow = 2e-5;
  QTemporaryDir folder_;
};

BATCHSCOPE_TEST(TestReplay)
#include "tst_replay.moc"
