#include "storage/lineage.h"
#include "storage/run_check.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QtTest>

using namespace batchscope;
using namespace batchscope::test;
using storage::RunReader;
using storage::RunWriter;

class TestSegments : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  // A run that crashed at row 1500 goes on from the checkpoint of row 1200, whose counter says
  // 1200.
  void resumedRowsNeverCollide() {
    const TempFolder temp;
    const auto folder = temp.run("r");
    {
      RunWriter writer(folder, make_info(), false);
      writer.segment({0, -1, 0, -1, "start"});
      writer.add_series({make_series("loss")});
      for (int i = 1; i <= 1500; ++i) {
        writer.step(make_step(i, {{0, 1.0}}));
      }
      writer.commit();
    }
    RunWriter writer(folder, make_info(), true);
    writer.segment({0, -1, 0, 1200, "start"});
    writer.segment({1, 0, 1200, -1, "resume"});
    for (int step = 1201; step <= 1600; ++step) {
      writer.step(make_step(step, {{0, 2.0}}, 1, step));
    }
    QCOMPARE(writer.commit(), std::int64_t{1900});
    RunReader reader(folder);
    const auto spans = storage::lineage(reader.segments());
    storage::RowAxis axis;
    storage::SeriesSamples loss;
    reader.read_axis(0, axis);
    reader.read_series(0, 0, loss);
    QCOMPARE(axis.seq.size(), std::size_t{1900});
    std::int64_t expected = 1;
    for (std::size_t i = 0; i < axis.seq.size(); ++i) {
      QCOMPARE(axis.seq[i], static_cast<std::int64_t>(i + 1));
      if (storage::on_lineage(spans, axis.segment[i], axis.step[i])) {
        QCOMPARE(axis.step[i], expected++);
        QCOMPARE(loss.value[i], axis.step[i] <= 1200 ? 1.0 : 2.0);
      }
    }
    QCOMPARE(expected, std::int64_t{1601});
    QVERIFY(storage::check_run(folder).problems.empty());
    contract::RunInfo other = make_info("ffffffffffff");
    QVERIFY_THROWS_EXCEPTION(contract::StorageError, RunWriter(folder, other, true));
  }

  void lineageOfUndo() {
    using storage::LineageSpan;
    const auto check = [](const std::vector<contract::SegmentRecord>& segments,
                          const std::vector<std::vector<std::int64_t>>& expected) {
      const auto spans = storage::lineage(segments);
      QCOMPARE(spans.size(), expected.size());
      for (std::size_t i = 0; i < spans.size(); ++i) {
        QCOMPARE(spans[i].segment, expected[i][0]);
        QCOMPARE(spans[i].first_step, expected[i][1]);
        QCOMPARE(spans[i].last_step, expected[i][2]);
      }
    };
    const std::int64_t open = LineageSpan::kNoEnd;
    check({}, {});
    check({{0, -1, 0, -1, "start"}}, {{0, 1, open}});
    check({{0, -1, 0, 10, "start"}, {1, 0, 10, -1, "undo"}}, {{0, 1, 10}, {1, 11, open}});
    // Undone twice, the second time to behind the start of segment 1: it has no part in the line.
    check({{0, -1, 0, 5, "start"}, {1, 0, 10, 10, "undo"}, {2, 1, 5, -1, "undo"}},
          {{0, 1, 5}, {2, 6, open}});
    // The newest segment itself abandoned after a step (undo is under way).
    check({{0, -1, 0, 7, "start"}}, {{0, 1, 7}});
    // A ring of parents ends.
    QVERIFY(storage::lineage({{0, 1, 0, -1, ""}, {1, 0, 10, -1, ""}}).size() <= 2);
    const auto of_zero = storage::lineage({{0, -1, 0, 10, "start"}, {1, 0, 10, -1, "undo"}}, 0);
    QCOMPARE(of_zero.size(), std::size_t{1});
    QVERIFY(storage::on_lineage(of_zero, 0, 10));
    QVERIFY(!storage::on_lineage(of_zero, 0, 11));
    QVERIFY(!storage::on_lineage(of_zero, 1, 11));
  }

  void predictionsFollowTheLine() {
    const TempFolder temp;
    const auto folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    writer.segment({0, -1, 0, 100, "start"});
    writer.segment({1, 0, 100, -1, "undo"});
    writer.prediction({0, 0, 0, {{0, 0, 1, 1, 1, 0.1F}}});
    writer.prediction({0, 0, 100, {{0, 0, 1, 1, 1, 0.2F}}});
    writer.prediction({0, 0, 150, {{0, 0, 1, 1, 1, 0.3F}}});  // abandoned
    writer.prediction({0, 1, 200, {{0, 0, 1, 1, 1, 0.4F}}});
    writer.commit();
    RunReader reader(folder);
    const auto score = [&reader](std::int64_t segment, std::int64_t step) {
      const auto found = reader.predictions(segment, step);
      return found.empty() ? -1.0F : found[0].boxes[0].score;
    };
    QCOMPARE(score(1, 50), 0.1F);
    QCOMPARE(score(1, 180), 0.2F);
    QCOMPARE(score(1, 200), 0.4F);
    QCOMPARE(score(0, 100), 0.2F);
  }
};

BATCHSCOPE_TEST(TestSegments)
#include "tst_segments.moc"
