#include "tests/app/engine_runner.h"
#include "tests/support/ports.h"
#include "tests/support/test_program.h"

#include <array>

using namespace batchscope;
namespace fs = std::filesystem;

namespace {

/// That of BATCHSCOPE_TORCHRUN, else of an environment that `./batchscope oracle` has made.
QString torchrun() {
  if (const QString named = qEnvironmentVariable("BATCHSCOPE_TORCHRUN"); !named.isEmpty()) {
    return named;
  }
  const QDir cache(
      qEnvironmentVariable("XDG_CACHE_HOME", QDir::homePath() + QStringLiteral("/.cache")) +
      QStringLiteral("/batchscope"));
  for (const QString& entry : cache.entryList({QStringLiteral("oracle-*")}, QDir::Dirs)) {
    const QString program = cache.filePath(entry + QStringLiteral("/bin/torchrun"));
    if (QFile::exists(program)) {
      return program;
    }
  }
  return {};
}

/// An agent of torchrun as one node of two, with a library of its own.
struct Node {
  QTemporaryDir library;
  QProcess agent;

  void start(int rank, int port, const QStringList& settings, int restarts = 1) {
    QStringList arguments = {QStringLiteral("--nnodes=2"),
                             QStringLiteral("--nproc-per-node=1"),
                             QStringLiteral("--node-rank=%1").arg(rank),
                             QStringLiteral("--master-addr=127.0.0.1"),
                             QStringLiteral("--master-port=%1").arg(port),
                             QStringLiteral("--max-restarts=%1").arg(restarts),
                             QStringLiteral("--no-python"),
                             engine(),
                             QStringLiteral("train"),
                             QStringLiteral("demo"),
                             QStringLiteral("--library"),
                             library.path()};
    for (const QString& setting : settings) {
      arguments << QStringLiteral("--set") << setting;
    }
    agent.setProcessChannelMode(QProcess::MergedChannels);
    agent.start(torchrun(), arguments);
  }
  std::vector<storage::RunSummary> runs() const {
    return storage::list_runs(library.path().toStdString());
  }
};

}  // namespace

/// The launcher that people use, not a likeness of it.
class TestTorchrunProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  /// Node 1 has another disk; its rank is killed, torchrun starts all ranks again, and they go on
  /// with the run that the first attempt began.
  void aKilledRankOfTwoNodes() {
    if (torchrun().isEmpty()) {
      QSKIP("no torchrun: ./batchscope oracle makes the Python environment that has it");
    }
    std::array<Node, 2> nodes;
    const QStringList settings = words(
        "schedule.steps=600 eval.every_steps=0 eval.every_epochs=0 eval.at_end=false "
        "eval.probes=0 data.train_pictures=256 data.val_pictures=8 batch.micro=4 "
        "precision.threads=1 checkpoint.every_steps=20");
    int port = 0;
    {
      const test::HeldPort held;
      port = held.port();
    }
    for (int node = 0; node < 2; ++node) {
      nodes[static_cast<std::size_t>(node)].start(node, port, settings);
    }
    const auto step = [&] { return nodes[0].runs().empty() ? 0 : nodes[0].runs()[0].step; };
    QVERIFY(QTest::qWaitFor([&] { return step() >= 50; }, kPatience));
    const QList<qint64> ranks = children_of(nodes[1].agent.processId());
    QCOMPARE(ranks.size(), 1);
    ::kill(static_cast<pid_t>(ranks[0]), SIGKILL);
    for (Node& node : nodes) {
      QVERIFY2(node.agent.waitForFinished(2 * kPatience), node.agent.readAll().constData());
      QVERIFY2(node.agent.exitCode() == 0, node.agent.readAll().constData());
    }
    QCOMPARE(nodes[0].runs().size(), std::size_t{1});
    QVERIFY(nodes[1].runs().empty());
    const storage::RunSummary run = nodes[0].runs()[0];
    QCOMPARE(run.state, contract::RunState::kFinished);
    QCOMPARE(run.step, std::int64_t{600});
    QCOMPARE(run.images, std::int64_t{600 * 8});
    const fs::path folder = fs::path(nodes[0].library.path().toStdString()) / run.id;
    std::vector<std::string> resumes;
    for (const storage::StoredEvent& event : storage::RunReader(folder).events(0)) {
      if (event.record.kind == "resume") {
        resumes.push_back(event.record.text);
      }
    }
    QCOMPARE(resumes.size(), std::size_t{1});
    QVERIFY2(resumes[0].starts_with("Started again by torchrun (attempt 1). Goes on from step-"),
             resumes[0].c_str());
  }

  /// What a rank ends with stands in torchrun's own summary.
  void theCauseIsToldToTorchrun() {
    if (torchrun().isEmpty()) {
      QSKIP("no torchrun: ./batchscope oracle makes the Python environment that has it");
    }
    std::array<Node, 2> nodes;
    int port = 0;
    {
      const test::HeldPort held;
      port = held.port();
    }
    for (int node = 0; node < 2; ++node) {
      nodes[static_cast<std::size_t>(node)].start(
          node, port, {QStringLiteral("model.weights=/no such file.pth")}, 0);
    }
    for (Node& node : nodes) {
      QVERIFY(node.agent.waitForFinished(2 * kPatience));
      QVERIFY(node.agent.exitCode() != 0);
    }
    const QByteArray said = nodes[0].agent.readAll();
    const qsizetype summary = said.indexOf("Root Cause");
    QVERIFY2(summary > 0 && said.indexOf("/no such file.pth", summary) > 0, said.constData());
  }
};

BATCHSCOPE_TEST(TestTorchrunProcess)
#include "tst_torchrun_process.moc"
