#include "engine/contract/error.h"
#include "engine/distributed/group.h"
#include "engine/distributed/rank_watch.h"
#include "engine/distributed/supervisor.h"
#include "tests/support/test_program.h"

#include <QCoreApplication>
#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QTemporaryDir>
#include <QTest>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace batchscope::train;
using batchscope::contract::ExitCode;
using batchscope::test::running_test;

namespace {

void pause_for(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

void write_file(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  std::fputs(text.c_str(), file);
  std::fclose(file);
}

/// Works until it is asked to stop; at most half a minute.
int work_until_stop(int code) {
  for (int i = 0; i < 1500 && stop_requests() == 0; ++i) {
    pause_for(20);
  }
  return stop_requests() > 0 ? code : 99;
}

/// Waits for a file that another rank writes when it listens to signals.
void wait_for_rank(const std::string& folder, int rank) {
  const std::string path = folder + "/pid" + std::to_string(rank);
  for (int i = 0; i < 3000 && access(path.c_str(), F_OK) != 0; ++i) {
    pause_for(20);
  }
}

/// What a rank does in each of the tests; `folder` is where it leaves its pid.
int run_child(const std::string& mode, const std::string& folder) {
  const LaunchEnv env = launch_env();
  if (mode == "stubborn") {
    std::signal(SIGTERM, SIG_IGN);
  } else {
    watch_rank(env, std::chrono::milliseconds(mode == "stuck" ? 500 : 10000));
  }
  write_file(folder + "/pid" + std::to_string(env.rank), std::to_string(getpid()));
  std::printf("hello from %d of %d\n", int(env.rank), int(env.world));
  std::fflush(stdout);
  const bool second = env.rank == 1;
  if (mode == "done") {
    return 0;
  }
  if (mode == "code3") {
    if (second) {
      wait_for_rank(folder, 0);  // it has to be listening before it is asked to stop
      return 3;
    }
    return work_until_stop(5);
  }
  if (mode == "second dies" || mode == "stubborn") {
    if (second) {
      wait_for_rank(folder, 0);
      wait_for_rank(folder, 2 % int(env.world));
      raise(SIGKILL);
    }
    if (mode == "stubborn") {
      pause_for(60000);
    }
    return work_until_stop(5);
  }
  if (mode == "first dies") {
    if (env.rank == 0) {
      wait_for_rank(folder, 1);
      abort();
    }
    return work_until_stop(5);
  }
  if (mode == "diverged") {
    pause_for(env.rank == 0 ? 1500 : 0);  // rank 0 still writes
    return 6;
  }
  if (mode == "lock") {
    const bool inherited = env.lock_fd >= 0 && fcntl(env.lock_fd, F_GETFD) >= 0;
    return inherited == (env.rank == 0) ? 0 : 4;
  }
  if (mode == "meet") {
    const auto group = Group::create(env, torch::kCPU, std::chrono::seconds(20));
    torch::Tensor sum = torch::full({1}, double(env.rank + 1), torch::kFloat64);
    group->all_reduce_sum(sum);
    return sum.item<double>() == 6.0 ? 0 : 3;
  }
  if (mode == "restart") {
    const std::string mark = folder + "/restarted" + std::to_string(env.rank);
    return access(mark.c_str(), F_OK) == 0 ? 0 : 3;
  }
  if (mode == "stuck") {
    pause_for(60000);
  }
  return work_until_stop(int(ExitCode::kInterrupted));
}

bool is_alive(pid_t pid) {
  // A zombie that waits for its new parent is no rank any more.
  QFile stat(QStringLiteral("/proc/%1/stat").arg(pid));
  if (!stat.open(QIODevice::ReadOnly)) {
    return false;
  }
  const QByteArray text = stat.readAll();
  return text.mid(text.lastIndexOf(')') + 2, 1) != "Z";
}

/// Whether a process was sent a signal that it has not taken yet.
bool is_pending(pid_t pid, int signal) {
  QFile status(QStringLiteral("/proc/%1/status").arg(pid));
  if (!status.open(QIODevice::ReadOnly)) {
    return false;
  }
  const QByteArray text = status.readAll();
  const qsizetype at = text.indexOf("ShdPnd:");
  return (text.mid(at + 7, 17).trimmed().toULongLong(nullptr, 16) >> (signal - 1) & 1) != 0;
}

}  // namespace

class TestSupervisor : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void init();
  void cleanup();
  void all_end_well();
  void ranks_meet_over_the_inherited_socket();
  void only_rank_0_inherits_the_lock();
  void ends_data();
  void ends();
  void rank_0_may_take_its_time();
  void stubborn_rank_is_killed();
  void program_that_is_not_there();
  void restart();
  void signals_data();
  void signals();
  void killed_supervisor_data();
  void killed_supervisor();
  void launch_variables();

 private:
  SupervisorOptions options(const std::string& mode, int ranks = 3) {
    SupervisorOptions out;
    out.arguments = {running_test(), "--child", mode, folder()};
    out.ranks = ranks;
    out.log_folder = folder();
    out.grace =
        std::chrono::seconds(20);  // a rank that ends when asked is never waited for so long
    return out;
  }
  std::string folder() const { return folder_->path().toStdString(); }
  /// Pids that the ranks left; waits until there are so many.
  std::vector<pid_t> pids(int ranks) {
    std::vector<pid_t> out;
    for (int rank = 0; rank < ranks; ++rank) {
      QFile file(folder_->filePath(QStringLiteral("pid%1").arg(rank)));
      for (int i = 0; i < 3000 && (!file.exists() || file.size() == 0); ++i) {
        pause_for(20);
      }
      if (file.open(QIODevice::ReadOnly)) {
        out.push_back(file.readAll().toInt());
      }
    }
    return out;
  }
  /// Runs supervise() in a process of its own and leaves its exit code to waitpid.
  pid_t supervise_apart(const std::string& mode) {
    const pid_t pid = fork();
    if (pid == 0) {
      execl("/proc/self/exe",
            "tst",
            running_test().c_str(),
            "--supervise",
            mode.c_str(),
            folder().c_str(),
            nullptr);
      _exit(127);
    }
    return pid;
  }
  std::unique_ptr<QTemporaryDir> folder_;
};

void TestSupervisor::init() {
  folder_ = std::make_unique<QTemporaryDir>();
}
void TestSupervisor::cleanup() {
  const auto names = QDir(folder_->path()).entryList({QStringLiteral("pid*")});
  for (const QString& name : names) {
    QFile file(folder_->filePath(name));
    QVERIFY(file.open(QIODevice::ReadOnly));
    const pid_t pid = file.readAll().toInt();
    QVERIFY2(pid > 1 && !is_alive(pid), "a rank outlived its job");
  }
}

void TestSupervisor::all_end_well() {
  const JobEnd end = supervise(options("done"));
  QCOMPARE(end.code, 0);
  QVERIFY(!end.rank0_lost);
  QVERIFY(end.reason.empty());
  QCOMPARE(end.ranks.size(), std::size_t(3));
  for (int rank = 0; rank < 3; ++rank) {
    QFile log(folder_->filePath(QStringLiteral("rank%1.log").arg(rank)));
    QVERIFY(log.open(QIODevice::ReadOnly));
    QCOMPARE(log.readAll(), QStringLiteral("hello from %1 of 3\n").arg(rank).toUtf8());
  }
}

void TestSupervisor::ranks_meet_over_the_inherited_socket() {
  QCOMPARE(supervise(options("meet")).code, 0);
}

void TestSupervisor::only_rank_0_inherits_the_lock() {
  const std::string path = folder() + "/lock";
  SupervisorOptions with_lock = options("lock");
  with_lock.lock_fd = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  QCOMPARE(supervise(with_lock).code, 0);
  close(with_lock.lock_fd);
}

void TestSupervisor::ends_data() {
  QTest::addColumn<QString>("mode");
  QTest::addColumn<int>("code");
  QTest::addColumn<bool>("rank0_lost");
  QTest::addColumn<QString>("reason");
  const auto row = [](const char* mode, int code, bool lost, const char* reason) {
    QTest::newRow(mode) << QString::fromUtf8(mode) << code << lost << QString::fromUtf8(reason);
  };
  row("second dies", 5, false, "rank 1 was killed by signal 9 (Killed)");
  row("first dies", 5, true, "rank 0 was killed by signal 6 (Aborted)");
  row("code3", 3, false, "rank 1 ended with exit code 3");
}

void TestSupervisor::ends() {
  QFETCH(QString, mode);
  int told = 0;
  SupervisorOptions with_callback = options(mode.toStdString());
  with_callback.on_rank0_lost = [&](const JobEnd&) { ++told; };
  const JobEnd end = supervise(with_callback);
  QTEST(end.code, "code");
  QTEST(end.rank0_lost, "rank0_lost");
  QTEST(QString::fromStdString(end.reason), "reason");
  QCOMPARE(told, end.rank0_lost ? 1 : 0);
}

void TestSupervisor::rank_0_may_take_its_time() {
  SupervisorOptions slow = options("diverged");
  slow.grace = std::chrono::milliseconds(300);
  const JobEnd end = supervise(slow);
  QCOMPARE(end.code, 6);
  QVERIFY(!end.rank0_lost);
  QVERIFY(end.reason.empty());
}

void TestSupervisor::stubborn_rank_is_killed() {
  SupervisorOptions short_grace = options("stubborn");
  short_grace.grace = std::chrono::milliseconds(300);
  const JobEnd end = supervise(short_grace);
  QCOMPARE(end.code, 5);
  QVERIFY(end.rank0_lost);
  QVERIFY(end.reason == "rank 1 was killed by signal 9 (Killed)");
  QVERIFY(end.ranks[0].forced);
  QCOMPARE(end.ranks[0].signal, SIGKILL);
}

void TestSupervisor::program_that_is_not_there() {
  SupervisorOptions wrong = options("done", 1);
  wrong.program = folder() + "/nothing";
  const JobEnd end = supervise(wrong);
  QCOMPARE(end.code, 5);
  QVERIFY(end.reason == "rank 0 could not be started");
  wrong.log_folder = folder() + "/no/folder";
  QVERIFY_THROWS_EXCEPTION(batchscope::contract::Error, supervise(wrong));
}

void TestSupervisor::restart() {
  SupervisorOptions twice = options("second dies", 2);
  twice.restarts = 1;
  int asked = 0;
  twice.restart_arguments = [&](const JobEnd& end) -> std::optional<std::vector<std::string>> {
    ++asked;
    for (const auto& rank : end.ranks) {
      write_file(folder() + "/restarted" + std::to_string(rank.rank), "");
    }
    return std::vector<std::string>{running_test(), "--child", "restart", folder()};
  };
  QCOMPARE(supervise(twice).code, 0);
  QCOMPARE(asked, 1);
  // Only so often as was asked for, and not when nothing can be resumed.
  twice.restart_arguments = [&](const JobEnd&) { return twice.arguments; };
  QCOMPARE(supervise(twice).code, 5);
  twice.restart_arguments = [](const JobEnd&) { return std::nullopt; };
  QCOMPARE(supervise(twice).code, 5);
}

void TestSupervisor::signals_data() {
  QTest::addColumn<int>("signal");
  QTest::addColumn<QString>("mode");
  QTest::addColumn<int>("times");
  QTest::newRow("SIGTERM saves") << SIGTERM << "work" << 1;
  QTest::newRow("SIGINT saves") << SIGINT << "work" << 1;
  QTest::newRow("the third kills") << SIGINT << "stuck" << 3;
}

void TestSupervisor::signals() {
  QFETCH(int, signal);
  QFETCH(QString, mode);
  QFETCH(int, times);
  const pid_t supervisor = supervise_apart(mode.toStdString());
  QCOMPARE(pids(2).size(), std::size_t(2));
  for (int i = 0; i < times; ++i) {
    kill(supervisor, signal);
    // One that comes before the last was taken would be lost in it.
    QTRY_VERIFY(!is_pending(supervisor, signal));
  }
  int status = 0;
  QCOMPARE(waitpid(supervisor, &status, 0), supervisor);
  QVERIFY(WIFEXITED(status));
  QCOMPARE(WEXITSTATUS(status), int(ExitCode::kInterrupted));
}

void TestSupervisor::killed_supervisor_data() {
  QTest::addColumn<QString>("mode");
  QTest::newRow("ranks that listen") << "work";
  QTest::newRow("ranks that are stuck") << "stuck";
}

void TestSupervisor::killed_supervisor() {
  QFETCH(QString, mode);
  const pid_t supervisor = supervise_apart(mode.toStdString());
  const auto ranks = pids(2);
  QCOMPARE(ranks.size(), std::size_t(2));
  kill(supervisor, SIGKILL);
  waitpid(supervisor, nullptr, 0);
  for (const pid_t rank : ranks) {
    QTRY_VERIFY(!is_alive(rank));
  }
}

void TestSupervisor::launch_variables() {
  const std::vector<const char*> names = {"RANK",
                                          "WORLD_SIZE",
                                          "LOCAL_RANK",
                                          "MASTER_ADDR",
                                          "MASTER_PORT",
                                          "SLURM_PROCID",
                                          "SLURM_STEP_NUM_TASKS",
                                          "SLURM_LOCALID",
                                          "SLURM_STEP_NODELIST",
                                          "SLURM_JOB_ID",
                                          "LOCAL_WORLD_SIZE",
                                          "TORCHELASTIC_RUN_ID",
                                          "TORCHELASTIC_RESTART_COUNT",
                                          "TORCHELASTIC_USE_AGENT_STORE",
                                          "SLURM_STEP_TASKS_PER_NODE",
                                          "SLURM_NODEID",
                                          "SLURM_RESTART_COUNT",
                                          "OMPI_COMM_WORLD_SIZE"};
  const auto with = [&](const std::map<std::string, std::string>& set) {
    for (const char* name : names) {
      unsetenv(name);
    }
    for (const auto& [name, value] : set) {
      setenv(name.c_str(), value.c_str(), 1);
    }
    return launch_env();
  };
  const auto refused = [&](const std::map<std::string, std::string>& set) -> std::string {
    try {
      with(set);
    } catch (const batchscope::contract::SpecError& error) {
      return error.field();
    }
    return "";
  };
  LaunchEnv env = with({});
  QVERIFY(!env.external && !env.supervised && env.world == 1 && env.rank == 0);
  const std::map<std::string, std::string> torchrun = {{"RANK", "3"},
                                                       {"WORLD_SIZE", "8"},
                                                       {"LOCAL_RANK", "1"},
                                                       {"MASTER_ADDR", "head"},
                                                       {"MASTER_PORT", "29500"}};
  env = with(torchrun);
  QVERIFY(env.external && env.rank == 3 && env.world == 8 && env.local_rank == 1);
  QVERIFY(env.master_address == "head" && env.master_port == 29500);
  for (const auto& [name, value] : torchrun) {
    auto less = torchrun;
    less.erase(name);
    QVERIFY2(refused(less) == name, name.c_str());
  }
  auto wrong = torchrun;
  wrong["RANK"] = "8";
  QVERIFY(refused(wrong) == "RANK");
  wrong["RANK"] = "two";
  QVERIFY(refused(wrong) == "RANK");
  auto elastic = torchrun;
  elastic["LOCAL_WORLD_SIZE"] = "4";
  elastic["TORCHELASTIC_RUN_ID"] = "night";
  elastic["TORCHELASTIC_RESTART_COUNT"] = "2";
  elastic["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  env = with(elastic);
  QVERIFY(env.local_world == 4 && env.job == "night" && env.attempt == 2 && env.agent_store);
  elastic["LOCAL_WORLD_SIZE"] = "1";  // less than its own local rank says
  QVERIFY(refused(elastic) == "LOCAL_WORLD_SIZE");
  elastic["LOCAL_WORLD_SIZE"] = "4";
  elastic["TORCHELASTIC_RESTART_COUNT"] = "-1";
  QVERIFY(refused(elastic) == "TORCHELASTIC_RESTART_COUNT");
  QVERIFY(refused({{"OMPI_COMM_WORLD_SIZE", "4"}}) == "OMPI_COMM_WORLD_SIZE");
  QVERIFY(refused({{"OMPI_COMM_WORLD_SIZE", "1"}}).empty());
  std::map<std::string, std::string> slurm = {{"SLURM_PROCID", "5"},
                                              {"SLURM_STEP_NUM_TASKS", "6"},
                                              {"SLURM_LOCALID", "2"},
                                              {"SLURM_STEP_NODELIST", "gpu[07-09,12],x1"},
                                              {"SLURM_JOB_ID", "4711"}};
  env = with(slurm);
  QVERIFY(env.external && env.rank == 5 && env.world == 6 && env.local_rank == 2);
  QVERIFY2(env.master_address == "gpu07", env.master_address.c_str());
  const auto port = env.master_port;
  QVERIFY(port >= 1024 && port < 65536);
  slurm["SLURM_STEP_NODELIST"] = "alpha,beta[1-2]";
  slurm["SLURM_JOB_ID"] = "4712";
  env = with(slurm);
  QVERIFY(env.master_address == "alpha");
  QVERIFY(env.master_port != port);
  const std::map<std::string, std::string> lists = {{"rack[1-2]n[07-12]-ib,x", "rack1n07-ib"},
                                                    {"n[3,5-7]-ib", "n3-ib"},
                                                    {"a-b1", "a-b1"},
                                                    {"solo,other", "solo"},
                                                    {"broken[1", "broken1"},
                                                    {"", ""}};
  for (const auto& [list, host] : lists) {
    QVERIFY2(first_host(list) == host, (list + ": " + first_host(list)).c_str());
  }
  const std::vector<std::int64_t> tasks = {2, 2, 2, 1, 0};
  for (std::size_t node = 0; node < tasks.size(); ++node) {
    QCOMPARE(tasks_on_node("2(x3),1", std::int64_t(node)), tasks[node]);
  }
  QCOMPARE(tasks_on_node("none", 0), std::int64_t{0});
  slurm["SLURM_STEP_TASKS_PER_NODE"] = "4(x1),2";
  QVERIFY(with(slurm).local_world == 4);
  slurm["SLURM_NODEID"] = "1";
  slurm["SLURM_LOCALID"] = "1";
  slurm["SLURM_RESTART_COUNT"] = "3";
  env = with(slurm);
  QVERIFY(env.local_world == 2 && env.attempt == 3);
  slurm["SLURM_STEP_NUM_TASKS"] = "1";
  QVERIFY(!with(slurm).external);
  with({});
}

static int main_of_test(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "--child") == 0) {
    return run_child(argv[2], argv[3]);
  }
  if (argc == 4 && std::strcmp(argv[1], "--supervise") == 0) {
    SupervisorOptions options;
    options.arguments = {running_test(), "--child", argv[2], argv[3]};
    options.ranks = 2;
    options.log_folder = argv[3];
    return supervise(options).code;
  }
  QCoreApplication app(argc, argv);
  TestSupervisor test;
  return QTest::qExec(&test, argc, argv);
}
BATCHSCOPE_TEST_MAIN(main_of_test)
#include "tst_supervisor.moc"
