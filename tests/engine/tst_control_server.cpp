#include "engine/contract/error.h"
#include "engine/control/control_client.h"
#include "engine/control/control_server.h"
#include "tests/support/test_program.h"

#include <QTemporaryDir>
#include <QTest>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <random>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

using namespace batchscope::contract;
using namespace batchscope::train;

namespace {

/// A client without manners: raw bytes in and out.
class RawClient {
 public:
  explicit RawClient(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    connected = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { hang_up(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool send(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t count = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) {
        return false;
      }
      sent += std::size_t(count);
    }
    return true;
  }
  /// The next line; empty when the server closed or nothing came for `ms`.
  std::string line(int ms = 5000) {
    for (;;) {
      if (const auto at = received_.find('\n'); at != std::string::npos) {
        std::string out = received_.substr(0, at);
        received_.erase(0, at + 1);
        return out;
      }
      pollfd watched{fd_, POLLIN, 0};
      char buffer[65536];
      const ssize_t count = poll(&watched, 1, ms) > 0 ? recv(fd_, buffer, sizeof buffer, 0) : 0;
      if (count <= 0) {
        return "";
      }
      received_.append(buffer, std::size_t(count));
    }
  }
  Report report(int ms = 5000) { return decode_report(line(ms)); }
  void hang_up() {
    if (fd_ >= 0) {
      close(fd_);
    }
    fd_ = -1;
  }
  bool connected = false;

 private:
  int fd_;
  std::string received_;
};

/// A training thread: answers what comes, with a step that counts up.
class FakeTraining {
 public:
  explicit FakeTraining(ControlServer& server) : server_(server), thread_([this] { run(); }) {}
  ~FakeTraining() {
    stop_ = true;
    thread_.join();
  }
  std::atomic<int> taken{0};

 private:
  void run() {
    while (!stop_) {
      server_.wait(20);
      for (const auto& command : server_.take()) {
        Reply reply;
        reply.ok = true;
        reply.step = ++taken;
        server_.answer(command, reply);
      }
    }
  }
  ControlServer& server_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

StatusReport status_at(std::int64_t step) {
  StatusReport status;
  status.run_id = "0123456789ab";
  status.state = RunState::kRunning;
  status.step = step;
  return status;
}

bool answers(const std::string& path) {
  RawClient client(path);
  return client.send("{\"id\":1,\"command\":\"status\"}\n") && std::get<Reply>(client.report()).ok;
}

}  // namespace

class TestControlServer : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void init();
  void cleanup();
  void hello_and_status_without_the_training();
  void socket_is_private();
  void stale_socket_is_replaced();
  void a_living_one_is_not();
  void open_folder_is_refused();
  void socket_paths();
  void pending_then_reply();
  void two_clients();
  void notices_go_to_those_who_said_hello();
  void other_version_may_not_control();
  void malformed_lines();
  void ten_megabytes();
  void half_lines();
  void noise();
  void twenty_clients();
  void client_that_never_reads();
  void gone_while_pending();
  void flood_is_bounded();
  void goodbye();
  void client_times_out();
  void client_without_server();

 private:
  std::unique_ptr<QTemporaryDir> folder_;
  std::string path_;
  std::unique_ptr<ControlServer> server_;
};

void TestControlServer::init() {
  folder_ = std::make_unique<QTemporaryDir>();
  path_ = folder_->path().toStdString() + "/a.sock";
  server_ = std::make_unique<ControlServer>(path_, "0.1.0");
  server_->set_status(status_at(7));
}
void TestControlServer::cleanup() {
  server_.reset();
  QVERIFY(access(path_.c_str(), F_OK) != 0);
}

void TestControlServer::hello_and_status_without_the_training() {
  ControlClient client(path_);
  const Reply hello = client.call(HelloCommand{kProtocolVersion, "test"}, 5);
  QVERIFY(hello.ok);
  QCOMPARE(hello.protocol, kProtocolVersion);
  QVERIFY(hello.engine == "0.1.0");
  QVERIFY(hello.status == status_at(7));
  server_->set_status(status_at(8));
  const Reply status = client.call(StatusCommand{}, 5);
  QVERIFY(status.status == status_at(8));
  QCOMPARE(status.protocol, 0);
  QVERIFY(server_->take().empty());
}

void TestControlServer::socket_is_private() {
  struct stat info {};
  QCOMPARE(lstat(path_.c_str(), &info), 0);
  QCOMPARE(int(info.st_mode & 0777), 0600);
}

void TestControlServer::stale_socket_is_replaced() {
  const std::string stale = folder_->path().toStdString() + "/stale.sock";
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, stale.c_str(), sizeof address.sun_path - 1);
  QCOMPARE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(fd);
  ControlServer server(stale, "x");
  QVERIFY(answers(stale));
}

void TestControlServer::a_living_one_is_not() {
  QVERIFY_THROWS_EXCEPTION(Error, ControlServer(path_, "x"));
  QVERIFY(answers(path_));
  const std::string file = folder_->path().toStdString() + "/file";
  close(open(file.c_str(), O_CREAT | O_WRONLY, 0600));
  QVERIFY_THROWS_EXCEPTION(Error, ControlServer(file, "x"));
  QCOMPARE(access(file.c_str(), F_OK), 0);
}

void TestControlServer::open_folder_is_refused() {
  const std::string open_folder = folder_->path().toStdString() + "/open";
  mkdir(open_folder.c_str(), 0700);
  chmod(open_folder.c_str(), 0777);
  QVERIFY_THROWS_EXCEPTION(Error, ControlServer(open_folder + "/a.sock", "x"));
}

void TestControlServer::socket_paths() {
  const std::string base = folder_->path().toStdString();
  qputenv("XDG_RUNTIME_DIR", base.c_str());
  const std::string path = control_socket_path("0123456789ab");
  QVERIFY(path == base + "/batchscope/0123456789ab.sock");
  struct stat info {};
  QCOMPARE(lstat((base + "/batchscope").c_str(), &info), 0);
  QCOMPARE(int(info.st_mode & 0777), 0700);
  chmod((base + "/batchscope").c_str(), 0755);
  QVERIFY_THROWS_EXCEPTION(Error, control_socket_path("0123456789ab"));
  chmod((base + "/batchscope").c_str(), 0700);
  QVERIFY_THROWS_EXCEPTION(Error, control_socket_path("../evil"));
  QVERIFY_THROWS_EXCEPTION(Error, control_socket_path(""));
  // Too long for a socket: the temporary folder instead.
  const std::string deep = base + "/" + std::string(90, 'd');
  mkdir(deep.c_str(), 0700);
  qputenv("XDG_RUNTIME_DIR", deep.c_str());
  QVERIFY(control_socket_path("0123456789ab").size() <= 100);
  qunsetenv("XDG_RUNTIME_DIR");
  qputenv("TMPDIR", base.c_str());
  const std::string own = base + "/batchscope-" + std::to_string(geteuid());
  QVERIFY(control_socket_path("0123456789ab") == own + "/0123456789ab.sock");
  // A link in its place is somebody's trap.
  rmdir(own.c_str());
  QCOMPARE(symlink(base.c_str(), own.c_str()), 0);
  QVERIFY_THROWS_EXCEPTION(Error, control_socket_path("0123456789ab"));
  unlink(own.c_str());
  qunsetenv("TMPDIR");
}

void TestControlServer::pending_then_reply() {
  FakeTraining training(*server_);
  ControlClient client(path_);
  std::vector<Report> notices;
  const Reply reply =
      client.call(LrCommand{0.5}, 5, [&](const Report& notice) { notices.push_back(notice); });
  QVERIFY(reply.ok);
  QCOMPARE(reply.step, std::int64_t(1));
  QCOMPARE(notices.size(), std::size_t(1));
  QVERIFY(std::get<PendingNotice>(notices[0]) == (PendingNotice{reply.id, "lr"}));
}

void TestControlServer::two_clients() {
  FakeTraining training(*server_);
  std::atomic<int> right{0};
  const auto talk = [&] {
    ControlClient client(path_);
    for (int i = 0; i < 100; ++i) {
      const Reply reply = client.call(AccumulationCommand{i + 1}, 10);
      right += reply.ok && reply.id == i + 1 ? 1 : 0;
    }
  };
  std::thread first(talk), second(talk);
  first.join();
  second.join();
  QCOMPARE(right.load(), 200);
  QCOMPARE(training.taken.load(), 200);
}

void TestControlServer::notices_go_to_those_who_said_hello() {
  RawClient greeted(path_), silent(path_);
  greeted.send("{\"id\":1,\"command\":\"hello\",\"protocol\":1,\"client\":\"t\"}\n");
  QVERIFY(std::get<Reply>(greeted.report()).ok);
  silent.send("{\"id\":1,\"command\":\"status\"}\n");
  QVERIFY(std::get<Reply>(silent.report()).ok);
  server_->notify(CommittedNotice{41});
  server_->notify(StateNotice{status_at(9)});
  std::int64_t newest = 0;
  for (;;) {
    const Report report = greeted.report();
    if (const auto* committed = std::get_if<CommittedNotice>(&report)) {
      QVERIFY(committed->seq > newest);
      newest = committed->seq;
      continue;
    }
    QVERIFY(std::get<StateNotice>(report).status == status_at(9));
    break;
  }
  QCOMPARE(newest, std::int64_t(41));
  // Merged or not, the newest arrives.
  for (int seq = 42; seq <= 500; ++seq) {
    server_->notify(CommittedNotice{seq});
  }
  while (newest < 500) {
    const auto seq = std::get<CommittedNotice>(greeted.report()).seq;
    QVERIFY(seq > newest);
    newest = seq;
  }
  QVERIFY(silent.line(50).empty());
}

void TestControlServer::other_version_may_not_control() {
  RawClient client(path_);
  client.send("{\"id\":1,\"command\":\"hello\",\"protocol\":2,\"client\":\"new\",\"extra\":1}\n");
  const auto hello = std::get<Reply>(client.report());
  QVERIFY(hello.ok);
  QCOMPARE(hello.protocol, kProtocolVersion);
  client.send("{\"id\":2,\"command\":\"pause\"}\n{\"id\":3,\"command\":\"status\"}\n");
  const auto refused = std::get<Reply>(client.report());
  QVERIFY(!refused.ok);
  QVERIFY(refused.field == "protocol");
  QVERIFY(std::get<Reply>(client.report()).ok);
  QVERIFY(server_->take().empty());
}

void TestControlServer::malformed_lines() {
  RawClient client(path_);
  const std::string long_name(500000, 'x');
  client.send("pause\n{\"id\":5,\"command\":\"lr\",\"value\":-1}\n\n{\"id\":6,\"command\":\"" +
              long_name + "\"}\n{\"id\":7,\"command\":\"pause\",\"" + long_name + "\":1}\n");
  const auto first = std::get<Reply>(client.report());
  QCOMPARE(first.id, std::int64_t(-1));
  QVERIFY(!first.ok && !first.error.empty());
  const auto second = std::get<Reply>(client.report());
  QCOMPARE(second.id, std::int64_t(5));
  QVERIFY(second.field == "value");
  const auto third = std::get<Reply>(client.report());
  QCOMPARE(third.id, std::int64_t(6));
  QVERIFY(third.error.size() < 3000);
  const auto fourth = std::get<Reply>(client.report());
  QCOMPARE(fourth.id, std::int64_t(7));
  QVERIFY(server_->take().empty());
}

void TestControlServer::ten_megabytes() {
  RawClient client(path_);
  QVERIFY(client.send(std::string(10 << 20, 'x') + "\n{\"id\":2,\"command\":\"status\"}\n"));
  const auto refused = std::get<Reply>(client.report());
  QCOMPARE(refused.id, std::int64_t(-1));
  QCOMPARE(std::get<Reply>(client.report()).id, std::int64_t(2));
}

void TestControlServer::half_lines() {
  RawClient client(path_);
  const std::string line = "{\"id\":2,\"command\":\"status\"}\n";
  for (const char byte : line) {
    QVERIFY(client.send(std::string(1, byte)));
  }
  QCOMPARE(std::get<Reply>(client.report()).id, std::int64_t(2));
  client.send("{\"id\":3,\"comm");
  client.hang_up();
  QVERIFY(answers(path_));
}

void TestControlServer::noise() {
  FakeTraining training(*server_);
  std::mt19937 random(3);
  for (int round = 0; round < 30; ++round) {
    RawClient client(path_);
    for (int i = 0; i < 20; ++i) {
      std::string bytes(random() % 3000, ' ');
      for (char& byte : bytes) {
        byte = char(random());
      }
      client.send(bytes);
    }
    client.hang_up();
    QTRY_VERIFY(answers(path_));
  }
}

void TestControlServer::twenty_clients() {
  std::vector<std::unique_ptr<RawClient>> clients;
  int let_in = 0, refused = 0;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(path_));
    clients.back()->send("{\"id\":1,\"command\":\"status\"}\n");
    const auto reply = std::get<Reply>(clients.back()->report());
    let_in += reply.ok ? 1 : 0;
    refused += reply.id == -1 ? 1 : 0;
  }
  QCOMPARE(let_in, 16);
  QCOMPARE(refused, 4);
  QVERIFY_THROWS_EXCEPTION(PeerError, ControlClient(path_).call(StatusCommand{}, 5));
  clients.clear();
  QTRY_VERIFY(answers(path_));
}

void TestControlServer::client_that_never_reads() {
  RawClient slow(path_);
  QVERIFY(slow.send("{\"id\":1,\"command\":\"hello\",\"protocol\":1,\"client\":\"slow\"}\n"));
  QVERIFY(!slow.line().empty());
  StatusReport large = status_at(1);
  large.phase = std::string(200000, 'p');
  for (int i = 0; i < 40; ++i) {
    server_->notify(StateNotice{large});
    QVERIFY(answers(path_));  // others are served meanwhile
  }
  int lines = 0;
  while (!slow.line(200).empty()) {
    ++lines;
  }
  QVERIFY2(lines < 40, "a client that had 8 MB waiting was kept");
  QVERIFY(!slow.send("x\n") || slow.line(200).empty());
}

void TestControlServer::gone_while_pending() {
  RawClient client(path_);
  client.send("{\"id\":1,\"command\":\"pause\"}\n");
  QVERIFY(std::holds_alternative<PendingNotice>(client.report()));
  client.hang_up();
  const auto commands = server_->take();
  QCOMPARE(commands.size(), std::size_t(1));
  RawClient other(path_);
  other.send("{\"id\":1,\"command\":\"resume\"}\n");
  QVERIFY(std::holds_alternative<PendingNotice>(other.report()));
  Reply reply;
  reply.ok = true;
  server_->answer(commands[0], reply);
  QVERIFY2(other.line(50).empty(), "an answer went to the wrong client");
}

void TestControlServer::flood_is_bounded() {
  RawClient client(path_);
  std::string lines;
  for (int i = 0; i < 300; ++i) {
    lines += "{\"id\":" + std::to_string(i) + ",\"command\":\"pause\"}\n";
  }
  client.send(lines);
  int pending = 0, refused = 0;
  for (int i = 0; i < 300; ++i) {
    const Report report = client.report();
    (std::holds_alternative<PendingNotice>(report) ? pending : refused) += 1;
  }
  QCOMPARE(pending, 256);
  QCOMPARE(refused, 44);
  QCOMPARE(server_->take().size(), std::size_t(256));
}

void TestControlServer::goodbye() {
  RawClient client(path_);
  client.send("{\"id\":4,\"command\":\"pause\"}\n");
  QVERIFY(std::holds_alternative<PendingNotice>(client.report()));
  server_.reset();
  const auto reply = std::get<Reply>(client.report());
  QCOMPARE(reply.id, std::int64_t(4));
  QVERIFY(!reply.ok);
  QVERIFY(client.line(1000).empty());
}

void TestControlServer::client_times_out() {
  ControlClient client(path_);
  try {
    client.call(PauseCommand{}, 0.1);
    QFAIL("an answer came from nobody");
  } catch (const PeerError& error) {
    QCOMPARE(error.what(), "no answer to pause within 0.1 s");
  }
  // The late answer is not taken for that of the next command.
  const auto late = server_->take();
  Reply reply;
  reply.ok = true;
  reply.step = 77;
  server_->answer(late.at(0), reply);
  QCOMPARE(client.call(StatusCommand{}, 5).step, std::int64_t(-1));
}

void TestControlServer::client_without_server() {
  QVERIFY_THROWS_EXCEPTION(PeerError, ControlClient(path_ + "x"));
  ControlClient client(path_);
  server_.reset();
  QVERIFY_THROWS_EXCEPTION(PeerError, client.call(StatusCommand{}, 5));
}

BATCHSCOPE_TEST(TestControlServer)
#include "tst_control_server.moc"
