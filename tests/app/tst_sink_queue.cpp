#include "app/record_bytes.h"
#include "app/sqlite_sink.h"
#include "storage/sqlite.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <atomic>
#include <thread>

using namespace batchscope;
using namespace batchscope::test;
using app::bytes_of;

class TestSinkQueue : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void recordsCountWhatTheyPointTo() {
    contract::PredictionRecord prediction;
    const std::size_t empty = bytes_of(prediction);
    prediction.boxes.resize(3);
    QCOMPARE(bytes_of(prediction) - empty, std::size_t{3 * 24});
    prediction.pixels.labels.resize(1000);
    QCOMPARE(bytes_of(prediction) - empty, std::size_t{3 * 24 + 4000});
    prediction.pixels.masks.assign(2, std::vector<std::uint32_t>(500));
    QVERIFY(bytes_of(prediction) - empty >= std::size_t{3 * 24 + 4000 + 2 * 2000});
    contract::ProbeRecord probe;
    probe.png.assign(7000, 'p');
    probe.pixels = prediction.pixels;
    QVERIFY(bytes_of(probe) >= std::size_t{7000 + 4000 + 4000});
    contract::EventRecord event;
    event.args["table"].assign(9000, 't');
    QVERIFY(bytes_of(event) >= std::size_t{9000});
  }

  /// A file that stays busy: callers wait once masks have filled the queue, and nothing is lost.
  void masksFillTheQueue() {
    constexpr int kGiven = 20;
    constexpr std::size_t kRuns = 25000;  // 100 kB a record
    const TempFolder temp;
    const auto folder = temp.run("r");
    app::SinkOptions options;
    options.queue_bytes = 450'000;
    app::SqliteSink sink(folder, {}, options);
    sink.begin(make_info(), false);
    sink.flush();
    std::atomic<int> given{0};
    std::thread caller;
    int before = 0;
    {
      storage::Database other(folder / "run.sqlite", storage::Database::Mode::kReadWrite);
      const storage::Transaction writing(other, storage::Transaction::Kind::kWrite);
      caller = std::thread([&] {
        for (int i = 1; i <= kGiven; ++i) {
          contract::PredictionRecord record;
          record.step = i;
          record.pixels.masks.assign(1, std::vector<std::uint32_t>(kRuns, 1));
          sink.prediction(record);
          given = i;
        }
      });
      const auto waits = [&given] { return given >= 4; };
      [[maybe_unused]] const bool filled = QTest::qWaitFor(waits, 60000);
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      before = given;
    }
    caller.join();
    sink.flush();
    QCOMPARE(sink.failure(), std::string());
    QVERIFY2(before >= 4 && before < kGiven, std::to_string(before).c_str());
    storage::RunReader reader(folder);
    for (int i = 1; i <= kGiven; ++i) {
      QCOMPARE(reader.predictions_at(0, i).size(), std::size_t{1});
    }
  }
};

BATCHSCOPE_TEST(TestSinkQueue)
#include "tst_sink_queue.moc"
