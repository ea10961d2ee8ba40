#include "engine/contract/error.h"
#include "storage/catalogue.h"
#include "storage/run_lock.h"
#include "storage/run_status.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace batchscope;
using namespace batchscope::test;
using contract::RunState;
using storage::RunSummary;
using storage::RunWriter;
using storage::StatusEvidence;

namespace {

namespace fs = std::filesystem;

StatusEvidence evidence(RunState written, bool lock, bool boot, bool alive, double age_seconds) {
  StatusEvidence all;
  all.written = written;
  all.lock_held = lock;
  all.pid = 4711;
  all.same_boot = boot;
  all.pid_alive = alive;
  all.heartbeat_age = age_seconds;
  return all;
}

}  // namespace

class TestRunStatus : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void statusTruthTable() {
    struct Row {
      RunState written;
      bool lock, boot, alive;
      double age;
      RunState truth;
    };
    const RunState run = RunState::kRunning, lost = RunState::kLost;
    const std::vector<Row> rows = {
        // The lock is held: as written, however old the heartbeat and whoever holds it.
        {run, true, true, true, 1, run},
        {run, true, true, true, 100, run},
        {run, true, true, false, 1, run},
        {run, true, true, false, 100, run},
        {run, true, false, false, 1, run},
        {run, true, false, false, 100, run},
        {RunState::kPaused, true, true, true, 1, RunState::kPaused},
        {RunState::kStopping, true, true, true, 1, RunState::kStopping},
        {RunState::kStarting, true, true, true, 1, RunState::kStarting},
        // The lock is free: only a living process with a fresh heartbeat speaks for the run.
        {run, false, true, true, 1, run},
        {run, false, true, true, 100, lost},
        {run, false, true, false, 1, lost},
        {run, false, true, false, 100, lost},
        {run, false, false, false, 1, run},  // another machine, lock invisible here
        {run, false, false, false, 100, lost},
        {RunState::kPaused, false, true, false, 1, lost},
        {RunState::kStarting, false, true, false, 1, lost},
        {RunState::kStopping, false, true, false, 1, lost},
        {RunState::kQueued, false, true, false, 1, lost},
        // A written end stands.
        {RunState::kFinished, false, true, false, 100, RunState::kFinished},
        {RunState::kFinished, true, true, true, 1, RunState::kFinished},
        {RunState::kStopped, false, false, false, 100, RunState::kStopped},
        {RunState::kFailed, false, true, false, 1, RunState::kFailed},
    };
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Row& row = rows[i];
      const StatusEvidence given = evidence(row.written, row.lock, row.boot, row.alive, row.age);
      QVERIFY2(storage::decide_state(given) == row.truth, std::to_string(i).c_str());
      QVERIFY(!storage::describe(given).empty());
    }
    StatusEvidence never;
    QVERIFY(storage::decide_state(never) == RunState::kQueued);
    never.lock_held = true;
    QVERIFY(storage::decide_state(never) == RunState::kStarting);
    QCOMPARE(storage::describe(evidence(run, true, true, true, 0.84)),
             std::string("lock held, heartbeat 0.8 s ago"));
    QCOMPARE(storage::describe(evidence(run, false, true, false, 40)),
             std::string("lock free, process 4711 is gone, no sign of life for 40.0 s"));
  }

  void statusOfRealProcesses() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    int ends[2];
    QCOMPARE(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const storage::RunLock lock(folder);
      RunWriter writer(folder, make_info(), false);
      contract::StatusReport report;
      report.state = RunState::kRunning;
      writer.status(report);
      writer.commit();
      [[maybe_unused]] const auto written = ::write(ends[1], "x", 1);
      ::pause();
      ::_exit(0);
    }
    char ready = 0;
    QCOMPARE(::read(ends[0], &ready, 1), ssize_t{1});
    ::close(ends[0]);
    ::close(ends[1]);
    RunSummary run = storage::summarise(folder);
    QVERIFY(run.state == RunState::kRunning);
    QVERIFY2(run.evidence.find("lock held, heartbeat") == 0, run.evidence.c_str());
    QVERIFY(storage::run_is_locked(folder));
    try {
      const storage::RunLock second(folder);
      QFAIL("the lock was given twice");
    } catch (const contract::StorageError& error) {
      const std::string sentence = error.what();
      QVERIFY(sentence.find("process " + std::to_string(child)) != std::string::npos);
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    QVERIFY(!storage::run_is_locked(folder));
    run = storage::summarise(folder);
    QVERIFY2(run.state == RunState::kLost, run.evidence.c_str());
    const storage::RunLock again(folder);  // never stale
    QVERIFY(storage::run_is_locked(folder));
  }

  void adoptedLockIsTheSameLock() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    auto first = std::make_unique<storage::RunLock>(folder);
    auto heir = std::make_unique<storage::RunLock>(
        storage::RunLock::adopt(::fcntl(first->fd(), F_DUPFD_CLOEXEC, 0)));
    first.reset();
    QVERIFY(storage::run_is_locked(folder));
    heir.reset();
    QVERIFY(!storage::run_is_locked(folder));
  }

  void reusedPidIsNotTheWriter() {
    QVERIFY(!storage::process_start(::getpid()).empty());
    QVERIFY(storage::process_start(2147483646).empty());
    QVERIFY(!storage::current_boot_id().empty());
    storage::StoredState stored;
    stored.report.state = RunState::kRunning;
    stored.pid = ::getpid();
    stored.boot_id = storage::current_boot_id();
    stored.pid_started = storage::process_start(::getpid());
    stored.heartbeat_unix = storage::unix_now();
    QVERIFY(storage::gather_evidence({}, stored).pid_alive);
    stored.pid_started = "1";
    QVERIFY(!storage::gather_evidence({}, stored).pid_alive);
    stored.pid_started = storage::process_start(::getpid());
    stored.boot_id = "another";
    QVERIFY(!storage::gather_evidence({}, stored).pid_alive);
    QVERIFY(!storage::gather_evidence({}, stored).same_boot);
  }
};

BATCHSCOPE_TEST(TestRunStatus)
#include "tst_run_status.moc"
