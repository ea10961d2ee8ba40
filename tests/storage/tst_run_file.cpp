#include "storage/run_check.h"
#include "storage/sqlite.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <cmath>
#include <limits>

using namespace batchscope;
using namespace batchscope::test;
using storage::RunReader;
using storage::RunWriter;

namespace {

std::int64_t count(const std::filesystem::path& folder, const std::string& what) {
  return storage::Database::open_for_reading(folder / storage::kRunFile)
      .query_integer("SELECT count(*) FROM " + what);
}

const double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

class TestRunFile : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void infoComesBack() {
    const TempFolder temp;
    const auto folder = temp.run("r");
    const contract::RunInfo given = make_info();
    RunWriter writer(folder, given, false);
    const contract::RunInfo read = RunReader(folder).info();  // before the first commit()
    QCOMPARE(read.id, given.id);
    QCOMPARE(read.name, given.name);
    QCOMPARE(read.spec_toml, given.spec_toml);
    QCOMPARE(read.engine_version, given.engine_version);
    QCOMPARE(read.host, given.host);
    QCOMPARE(read.device, given.device);
    QCOMPARE(read.threads, given.threads);
    QCOMPARE(read.data_checksum, given.data_checksum);
    QVERIFY(read.modules == given.modules);
    QVERIFY(read.classes == given.classes);
    QCOMPARE(read.steps, given.steps);
    QCOMPARE(read.total_images, given.total_images);
    QCOMPARE(read.parent_run, given.parent_run);
    QCOMPARE(read.parent_step, given.parent_step);
    QCOMPARE(read.started, given.started);
    QVERIFY_THROWS_EXCEPTION(contract::StorageError, RunWriter(folder, given, false));
  }

  void recordsComeBack() {
    const TempFolder temp;
    const auto folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    contract::EventRecord event{0,
                                12,
                                999,
                                "2026-11-20T22:31:00.000Z",
                                "optimizer",
                                "user",
                                "SGD → LAMB",
                                {{"name", "lamb"}, {"path", "a\"b"}}};
    contract::EvalRecord eval{
        0, 12, 1536, 3.25, 512, 0.75, {{"AP", 0.25}, {"APs", kNan}, {"x", -kInf}}};
    contract::ProbeRecord probe{3,
                                "p.png",
                                32,
                                24,
                                std::string("\x89PNG\0\x01", 6),
                                {{1, 2, 3, 4, 1, 1}, {5, 6, 7, 8, 2, 1}}};
    writer.segment({0, -1, 0, -1, "start"});
    writer.step(make_step(1, {}));
    writer.event(event);
    writer.eval(eval);
    probe.pixels = {{{0, 5, 763}, {}}, {7, 700, 0, 68}};
    writer.probe(probe);
    writer.prediction({3, 0, 12, {{1.5F, 2, 3, 4, 1, 0.875F}}, {{{9, 4, 755}}, {}}});
    writer.checkpoint({0, 10, "checkpoints/10.pt", "checkpoint", 1234});
    writer.checkpoint({0, 12, "checkpoints/12.pt", "restore_point", 99});
    writer.checkpoint_removed("checkpoints/10.pt");
    writer.commit();

    RunReader reader(folder);
    const auto events = reader.events(0);
    QCOMPARE(events.size(), std::size_t{1});
    QCOMPARE(events[0].record.seq, std::int64_t{1});  // the newest row, not what was claimed
    QCOMPARE(events[0].record.text, event.text);
    QCOMPARE(events[0].record.kind, event.kind);
    QCOMPARE(events[0].record.source, event.source);
    QVERIFY(events[0].record.args == event.args);
    QVERIFY(reader.events(events[0].id).empty());
    const auto evals = reader.evals(0);
    QCOMPARE(evals.size(), std::size_t{1});
    QCOMPARE(evals[0].record.pictures, std::int64_t{512});
    QCOMPARE(evals[0].record.eval_seconds, 0.75);
    QCOMPARE(evals[0].record.metrics.at("AP"), 0.25);
    QVERIFY(std::isnan(evals[0].record.metrics.at("APs")));
    QVERIFY(evals[0].record.metrics.at("x") == -kInf);
    const auto probes = reader.probes();
    QCOMPARE(probes.size(), std::size_t{1});
    QCOMPARE(probes[0].png, probe.png);
    QCOMPARE(probes[0].truth.size(), std::size_t{2});
    QCOMPARE(probes[0].truth[1].label, 2);
    QCOMPARE(probes[0].height, 24);
    QVERIFY(probes[0].pixels.masks == probe.pixels.masks);
    QVERIFY(probes[0].pixels.labels == probe.pixels.labels);
    const auto checkpoints = reader.checkpoints();
    QCOMPARE(checkpoints.size(), std::size_t{1});
    QCOMPARE(checkpoints[0].kind, std::string("restore_point"));
    const auto predictions = reader.predictions(0, 100);
    QCOMPARE(predictions.size(), std::size_t{1});
    QCOMPARE(predictions[0].boxes[0].score, 0.875F);
    QVERIFY((predictions[0].pixels.masks == std::vector<std::vector<std::uint32_t>>{{9, 4, 755}}));
    QVERIFY(predictions[0].pixels.labels.empty());
    QVERIFY(reader.predictions(0, 11).empty());
  }

  // A run that goes on with other pictures: none is drawn over another's predictions.
  void otherPicturesGetOtherNumbers() {
    const TempFolder temp;
    const auto folder = temp.run("r");
    const auto picture = [](std::int64_t number, const std::string& name) {
      return contract::ProbeRecord{number, name, 4, 3, "png of " + name, {{0, 0, 1, 1, 1, 1}}};
    };
    const auto predict =
        [](RunWriter& writer, std::int64_t number, std::int64_t step, float score) {
          writer.prediction({number, 0, step, {{0, 0, 1, 1, 1, score}}});
        };
    {
      RunWriter writer(folder, make_info(), false);
      writer.segment({0, -1, 0, -1, "start"});
      writer.probe(picture(0, "a"));
      writer.probe(picture(1, "b"));
      writer.probe(picture(1, "b"));
      predict(writer, 0, 5, 0.1F);
      predict(writer, 1, 5, 0.2F);
      writer.finish(contract::RunState::kStopped, 0);
    }
    RunWriter writer(folder, make_info(), true);
    writer.probe(picture(0, "c"));
    writer.probe(picture(1, "a"));
    writer.probe(picture(2, "d"));
    writer.rollback();  // as after a full disk: all is given again
    writer.probe(picture(0, "c"));
    writer.probe(picture(1, "a"));
    writer.probe(picture(2, "d"));
    predict(writer, 0, 9, 0.3F);
    predict(writer, 1, 9, 0.4F);
    predict(writer, 2, 9, 0.5F);
    writer.commit();

    RunReader reader(folder);
    QCOMPARE(reader.probe_count(), std::int64_t{4});
    std::map<std::int64_t, std::string> names;
    for (const auto& probe : reader.probes()) {
      names[probe.probe] = probe.name;
    }
    const auto found = [&](std::int64_t step) {
      std::map<std::string, float> scores;
      for (const auto& prediction : reader.predictions_at(0, step)) {
        scores[names.at(prediction.probe)] = prediction.boxes.at(0).score;
      }
      return scores;
    };
    QVERIFY((found(5) == std::map<std::string, float>{{"a", 0.1F}, {"b", 0.2F}}));
    QVERIFY((found(9) == std::map<std::string, float>{{"c", 0.3F}, {"a", 0.4F}, {"d", 0.5F}}));
  }

  void placesOfPredictionsComeOnce() {
    const TempFolder temp;
    const auto folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    writer.commit();
    RunReader reader(folder);
    QVERIFY(reader.predicted(0).empty());
    for (std::int64_t probe = 0; probe < 3; ++probe) {
      writer.prediction({probe, 0, 7, {}});
    }
    writer.prediction({0, 0, 3, {}});
    writer.commit();
    auto places = reader.predicted(0);
    QCOMPARE(places.size(), std::size_t{2});
    QCOMPARE(places[0].step, std::int64_t{7});
    QCOMPARE(places[1].step, std::int64_t{3});  // in the order of writing
    const std::int64_t last = places[1].id;
    QVERIFY(reader.predicted(last).empty());
    writer.prediction({3, 0, 7, {}});
    writer.prediction({0, 1, 7, {}});
    writer.commit();
    places = reader.predicted(last);
    QCOMPARE(places.size(), std::size_t{2});
    QCOMPARE(places[0].step, std::int64_t{7});
    QCOMPARE(places[1].segment, std::int64_t{1});
    QCOMPARE(reader.predicted(places[1].id + 100).size(), std::size_t{3});  // ids that begin anew
    QCOMPARE(reader.predictions_at(0, 7).size(), std::size_t{4});
    QVERIFY(reader.predictions_at(1, 3).empty());
  }

  void stateComesBack() {
    const TempFolder temp;
    const auto folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    QVERIFY(RunReader(folder).state().report.state == contract::RunState::kStarting);
    contract::StatusReport report;
    report.state = contract::RunState::kPaused;
    report.step = 7;
    report.steps = 300;
    report.images = 896;
    report.optimizer = "pmd_lamb";
    report.agvm = true;
    report.lr = kInf;
    report.micro = 2;
    report.accumulation = 32;
    report.ranks = 4;
    report.phase = "evaluating";
    report.lr_in_use = 0.125;
    report.trouble = "Rank 1 has been silent for 20 s.";
    writer.status(report);
    writer.step(make_step(7, {}));
    writer.commit();
    storage::StoredState stored = RunReader(folder).state();
    QVERIFY(stored.report.state == contract::RunState::kPaused);
    QCOMPARE(stored.report.run_id, make_info().id);
    QCOMPARE(stored.report.step, std::int64_t{7});
    QCOMPARE(stored.report.optimizer, std::string("pmd_lamb"));
    QVERIFY(stored.report.agvm);
    QVERIFY(stored.report.lr == kInf);
    QCOMPARE(stored.report.lr_in_use, 0.125);
    QCOMPARE(stored.report.trouble, report.trouble);
    QCOMPARE(stored.report.accumulation, std::int64_t{32});
    QCOMPARE(stored.report.phase, std::string("evaluating"));
    QCOMPARE(stored.report.committed_seq, std::int64_t{7});
    QCOMPARE(stored.pid, std::int64_t{QCoreApplication::applicationPid()});
    QVERIFY(!stored.exit_code.has_value());
    writer.finish(contract::RunState::kFailed, 6);
    stored = RunReader(folder).state();
    QVERIFY(stored.report.state == contract::RunState::kFailed);
    QCOMPARE(stored.exit_code.value(), 6);
    QVERIFY(!stored.finished.empty());
    QCOMPARE(stored.report.trouble, std::string());  // it is over with the run
    QCOMPARE(stored.report.step, std::int64_t{7});
  }

  void nonFiniteValuesAreExact_data() {
    QTest::addColumn<int>("rows");
    QTest::newRow("live") << 8;
    QTest::newRow("folded") << 2048;
  }
  void nonFiniteValuesAreExact() {
    QFETCH(int, rows);
    const std::vector<double> cycle = {kNan, kInf, -kInf, 0.0, -0.0, 5e-324, 1e300, 0.1};
    const TempFolder temp;
    const auto folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    writer.add_series({make_series("loss")});
    for (int i = 1; i <= rows; ++i) {
      auto record = make_step(i, {{0, cycle[static_cast<std::size_t>(i) % cycle.size()]}});
      record.seconds = cycle[static_cast<std::size_t>(i + 1) % cycle.size()];
      writer.step(record);
    }
    writer.commit();
    RunReader reader(folder);
    storage::SeriesSamples samples;
    storage::RowAxis axis;
    reader.read_series(0, 0, samples);
    reader.read_axis(0, axis);
    QCOMPARE(samples.value.size(), static_cast<std::size_t>(rows));
    QCOMPARE(axis.seconds.size(), static_cast<std::size_t>(rows));
    for (std::size_t i = 0; i < samples.value.size(); ++i) {
      QVERIFY(same_bits(samples.value[i], cycle[(i + 1) % cycle.size()]));
    }
    const std::size_t nan_row = 6;  // seconds of row 7 are cycle[0]
    QVERIFY(std::isnan(axis.seconds[nan_row]));
    QVERIFY(axis.seconds[nan_row + 1] == kInf);
    const storage::SeriesSummary summary = reader.summary(0);
    QCOMPARE(summary.count, std::int64_t{rows});
    QCOMPARE(summary.nonfinite, std::int64_t{rows} * 3 / 8);
    QCOMPARE(summary.max, 1e300);
    QCOMPARE(summary.min, 0.0);
    QVERIFY(summary.first == kInf);
    QVERIFY(std::isnan(summary.last));
  }

  void foldingBoundaries_data() {
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("chunks");
    QTest::addColumn<int>("live");
    QTest::newRow("1") << 1 << 0 << 1;
    QTest::newRow("1023") << 1023 << 0 << 1023;
    QTest::newRow("1024") << 1024 << 1 << 0;
    QTest::newRow("1025") << 1025 << 1 << 1;
    QTest::newRow("3000") << 3000 << 2 << 952;
  }
  void foldingBoundaries() {
    QFETCH(int, rows);
    QFETCH(int, chunks);
    QFETCH(int, live);
    const TempFolder temp;
    const auto folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    writer.add_series({make_series("dense"), make_series("sparse"), make_series("never")});
    for (int i = 1; i <= rows; ++i) {
      std::vector<std::pair<std::int32_t, double>> values = {{0, i * 0.25}};
      if (i % 10 == 0) {
        values.emplace_back(1, -i);
      }
      writer.step(make_step(i, values));
      if (i % 100 == 0) {
        writer.commit();
      }
    }
    QCOMPARE(writer.commit(), std::int64_t{rows});
    QCOMPARE(count(folder, "series_chunk WHERE series = 0"), std::int64_t{chunks});
    QCOMPARE(count(folder, "axis_chunk"), std::int64_t{chunks});
    QCOMPARE(count(folder, "live_row"), std::int64_t{live});
    verifyRows(folder, rows);
    writer.finish(contract::RunState::kFinished, 0);
    QCOMPARE(count(folder, "live_row"), std::int64_t{0});
    // A series that is measured seldom fills its chunk: 300 samples of 3000 rows are one chunk.
    QCOMPARE(count(folder, "series_chunk WHERE series = 1"), std::int64_t{rows >= 10});
    QCOMPARE(count(folder, "series_chunk WHERE series = 2"), std::int64_t{0});
    verifyRows(folder, rows);
    QVERIFY(storage::check_run(folder).problems.empty());
  }

  void incrementalReadsJoinUp() {
    const TempFolder temp;
    const auto folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    writer.add_series({make_series("a")});
    RunReader reader(folder);
    storage::SeriesSamples samples;
    storage::RowAxis axis;
    std::int64_t seen_series = 0, seen_axis = 0;
    for (int i = 1; i <= 2500; ++i) {
      writer.step(make_step(i, {{0, i * 1.5}}));
      if (i % 37 == 0) {
        writer.commit();
        seen_series = reader.read_series(0, seen_series, samples);
        seen_axis = reader.read_axis(seen_axis, axis);
      }
    }
    writer.commit();
    QCOMPARE(reader.read_series(0, seen_series, samples), std::int64_t{2500});
    QCOMPARE(reader.read_axis(seen_axis, axis), std::int64_t{2500});
    QCOMPARE(samples.seq.size(), std::size_t{2500});
    QCOMPARE(axis.seq.size(), std::size_t{2500});
    for (std::size_t i = 0; i < samples.seq.size(); ++i) {
      QCOMPARE(samples.seq[i], static_cast<std::int64_t>(i + 1));
      QCOMPARE(samples.value[i], static_cast<double>(i + 1) * 1.5);
      QCOMPARE(axis.step[i], static_cast<std::int64_t>(i + 1));
    }
    QCOMPARE(reader.read_series(0, 2500, samples), std::int64_t{2500});
    QCOMPARE(samples.seq.size(), std::size_t{2500});
    storage::SeriesSamples part;
    QCOMPARE(reader.read_series(0, 1000, part, 1100), std::int64_t{1100});
    QCOMPARE(part.seq.size(), std::size_t{100});
    QCOMPARE(part.seq.front(), std::int64_t{1001});
  }

  void seriesKeepTheirIndex() {
    const TempFolder temp;
    const auto folder = temp.run("r");
    {
      RunWriter writer(folder, make_info(), false);
      const auto first = writer.add_series({make_series("a"), make_series("b")});
      QVERIFY((first == std::vector<std::int32_t>{0, 1}));
      const auto again = writer.add_series({make_series("b"), make_series("c")});
      QVERIFY((again == std::vector<std::int32_t>{1, 2}));
      writer.commit();
    }
    RunWriter writer(folder, make_info(), true);
    QCOMPARE(writer.series().size(), std::size_t{3});
    QVERIFY((writer.add_series({make_series("d"), make_series("a")}) ==
             std::vector<std::int32_t>{3, 0}));
    QCOMPARE(RunReader(folder).series()[1].name, std::string("b"));
  }

  void rollbackForgets() {
    const TempFolder temp;
    const auto folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    writer.add_series({make_series("a")});
    writer.step(make_step(1, {{0, 1.0}}));
    writer.commit();
    writer.add_series({make_series("b")});
    writer.step(make_step(2, {{1, 2.0}}));
    writer.rollback();
    QCOMPARE(writer.last_seq(), std::int64_t{1});
    QVERIFY((writer.add_series({make_series("c")}) == std::vector<std::int32_t>{1}));
    writer.step(make_step(2, {{1, 3.0}}));
    QCOMPARE(writer.commit(), std::int64_t{2});
    storage::SeriesSamples samples;
    RunReader reader(folder);
    reader.read_series(1, 0, samples);
    QVERIFY(samples.value == std::vector<double>{3.0});
    QCOMPARE(reader.series()[1].name, std::string("c"));
  }

 private:
  static void verifyRows(const std::filesystem::path& folder, int rows) {
    RunReader reader(folder);
    QCOMPARE(reader.last_seq(), std::int64_t{rows});
    storage::RowAxis axis;
    storage::SeriesSamples dense, sparse, never;
    reader.read_axis(0, axis);
    reader.read_series(0, 0, dense);
    reader.read_series(1, 0, sparse);
    QCOMPARE(reader.read_series(2, 0, never), std::int64_t{0});
    QCOMPARE(axis.seq.size(), static_cast<std::size_t>(rows));
    QCOMPARE(dense.seq.size(), static_cast<std::size_t>(rows));
    QCOMPARE(sparse.seq.size(), static_cast<std::size_t>(rows / 10));
    for (int i = 1; i <= rows; ++i) {
      const auto at = static_cast<std::size_t>(i - 1);
      QCOMPARE(axis.seq[at], std::int64_t{i});
      QCOMPARE(axis.images[at], std::int64_t{i} * 128);
      QCOMPARE(axis.seconds[at], 0.5 * i);
      QCOMPARE(dense.seq[at], std::int64_t{i});
      QCOMPARE(dense.value[at], i * 0.25);
    }
    for (std::size_t at = 0; at < sparse.seq.size(); ++at) {
      QCOMPARE(sparse.seq[at], static_cast<std::int64_t>(at + 1) * 10);
      QCOMPARE(sparse.value[at], -static_cast<double>(at + 1) * 10);
    }
  }
};

BATCHSCOPE_TEST(TestRunFile)
#include "tst_run_file.moc"
