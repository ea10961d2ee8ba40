#include "engine/control/control_server.h"

#include "engine/contract/error.h"
#include "engine/control/client_link.h"
#include "engine/control/unix_socket.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace batchscope::train {
namespace {

constexpr std::size_t kMaxClients = 16;
/// Commands that may wait for the training thread; a flood must not fill the memory.
constexpr std::size_t kMaxWaiting = 256;
constexpr std::size_t kMaxSentence = 2000;
constexpr std::size_t kMaxField = 200;
constexpr std::size_t kMaxDetail = 100000;

contract::Reply refusal(std::int64_t id, const std::string& sentence, const std::string& field) {
  contract::Reply reply;
  reply.id = id;
  reply.error = sentence;
  reply.field = field;
  return reply;
}

/// A sentence may quote what a client sent, up to a megabyte of it: no reply may grow over a line.
std::string encode_reply(contract::Reply reply) {
  const auto clip = [](std::string& text, std::size_t most) {
    if (text.size() > most) {
      text = text.substr(0, most) + "...";
    }
  };
  clip(reply.error, kMaxSentence);
  clip(reply.field, kMaxField);
  clip(reply.detail, kMaxDetail);
  return contract::encode(contract::Report(std::move(reply)));
}

/// Lines on their way from the training thread to the control thread.
struct Outgoing {
  std::uint64_t client = 0;  // 0: everyone who said hello
  bool committed = false;    // a newer one replaces it
  std::string line;
};

}  // namespace

struct ControlServer::Impl {
  Impl(const std::string& socket_path, std::string version)
      : path(socket_path), engine(std::move(version)), listener(listen_unix(socket_path)) {
    struct stat info {};
    stat(path.c_str(), &info);
    inode = info.st_ino;
    wake = UnixSocket(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (wake.fd() < 0) {
      throw contract::Error(contract::ExitCode::kUsage, "no event descriptor is left for control");
    }
    start();
  }
  ~Impl() {
    stopping = true;
    ring();
    thread.join();
    struct stat info {};
    if (lstat(path.c_str(), &info) == 0 && info.st_ino == inode) {
      unlink(path.c_str());
    }
  }

  void start() {
    // Signals belong to the training's main thread.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread = std::thread([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  void ring() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(wake.fd(), &one, sizeof one);
  }
  void post(Outgoing message) {
    {
      const std::lock_guard lock(mutex);
      if (message.committed && !outgoing.empty() && outgoing.back().committed) {
        outgoing.back() = std::move(message);
      } else {
        outgoing.push_back(std::move(message));
      }
    }
    ring();
  }

  void run();
  void poll_once();
  void accept_clients();
  void deliver();
  void on_line(ClientLink& client, const std::string& line);
  void on_command(ClientLink& client, contract::Command command);
  void reply(ClientLink& client, const contract::Reply& answer) {
    send(client, encode_reply(answer));
  }
  void send(ClientLink& client, const std::string& line) {
    if (!client.send(line)) {
      gone.push_back(client.id());
    }
  }
  void drop_gone();
  void say_goodbye();

  const std::string path;
  const std::string engine;
  UnixSocket listener, wake;
  ino_t inode = 0;
  std::atomic<bool> stopping{false};

  // Control thread only.
  std::deque<ClientLink> clients;
  std::vector<std::uint64_t> gone;
  std::uint64_t next_client = 1;
  ClientLink::Clock::time_point accept_again{};

  std::mutex mutex;  // guards what follows
  std::condition_variable arrived;
  std::deque<QueuedCommand> incoming;
  std::deque<Outgoing> outgoing;
  contract::StatusReport status;

  std::thread thread;
};

void ControlServer::Impl::run() {
  while (!stopping) {
    poll_once();
    deliver();
    drop_gone();
  }
  deliver();
  say_goodbye();
}

void ControlServer::Impl::poll_once() {
  const bool may_accept = ClientLink::Clock::now() >= accept_again;
  std::vector<pollfd> watched = {{wake.fd(), POLLIN, 0},
                                 {listener.fd(), short(may_accept ? POLLIN : 0), 0}};
  bool unsent = !may_accept;
  for (const auto& client : clients) {
    watched.push_back({client.fd(), short(POLLIN | (client.has_unsent() ? POLLOUT : 0)), 0});
    unsent = unsent || client.has_unsent();
  }
  // A second's tick finds clients that have stopped reading.
  if (poll(watched.data(), watched.size(), unsent ? 1000 : -1) < 0) {
    return;
  }
  if (watched[0].revents != 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto taken = read(wake.fd(), &count, sizeof count);
  }
  for (std::size_t i = 2; i < watched.size(); ++i) {
    ClientLink& client = clients[i - 2];
    if (!client.flush()) {
      gone.push_back(client.id());
      continue;
    }
    if (watched[i].revents != 0 &&
        !client.receive([&](const std::string& line) { on_line(client, line); },
                        [&] {
                          reply(client,
                                refusal(-1,
                                        "a line is longer than " +
                                            std::to_string(contract::kMaxLineBytes) + " bytes",
                                        ""));
                        })) {
      gone.push_back(client.id());
    }
  }
  drop_gone();
  if (watched[1].revents != 0) {
    accept_clients();
  }
}

void ControlServer::Impl::accept_clients() {
  for (;;) {
    UnixSocket socket(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.fd() < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
        accept_again = ClientLink::Clock::now() + std::chrono::seconds(1);
      }
      return;
    }
    if (!peer_is_same_user(socket.fd())) {
      continue;
    }
    ClientLink client(next_client++, std::move(socket));
    if (clients.size() >= kMaxClients) {
      client.send(encode_reply(refusal(
          -1, std::to_string(kMaxClients) + " clients are connected; no more are let in", "")));
      continue;
    }
    clients.push_back(std::move(client));
  }
}

void ControlServer::Impl::deliver() {
  std::deque<Outgoing> lines;
  {
    const std::lock_guard lock(mutex);
    lines.swap(outgoing);
  }
  for (const auto& message : lines) {
    for (auto& client : clients) {
      if (message.client == client.id() || (message.client == 0 && client.greeted)) {
        send(client, message.line);
      }
    }
  }
}

void ControlServer::Impl::on_line(ClientLink& client, const std::string& line) {
  std::int64_t id = -1;
  try {
    on_command(client, contract::decode_command(line, &id));
  } catch (const contract::SpecError& error) {
    reply(client, refusal(id, error.what(), error.field()));
  }
}

void ControlServer::Impl::on_command(ClientLink& client, contract::Command command) {
  const auto* hello = std::get_if<contract::HelloCommand>(&command.body);
  if (hello != nullptr || std::holds_alternative<contract::StatusCommand>(command.body)) {
    contract::Reply answer;
    answer.id = command.id;
    answer.ok = true;
    if (hello != nullptr) {
      client.greeted = true;
      client.protocol = hello->protocol;
      answer.protocol = contract::kProtocolVersion;
      answer.engine = engine;
    }
    {
      const std::lock_guard lock(mutex);
      answer.status = status;
    }
    reply(client, answer);
    return;
  }
  if (client.protocol != 0 && client.protocol != contract::kProtocolVersion) {
    reply(client,
          refusal(command.id,
                  "the engine speaks protocol " + std::to_string(contract::kProtocolVersion) +
                      " and the client " + std::to_string(client.protocol) +
                      "; control needs equal versions",
                  "protocol"));
    return;
  }
  const contract::Report pending =
      contract::PendingNotice{command.id, contract::command_name(command.body)};
  const std::int64_t id = command.id;
  bool taken = false;
  {
    const std::lock_guard lock(mutex);
    taken = incoming.size() < kMaxWaiting;
    if (taken) {
      incoming.push_back({client.id(), std::move(command)});
    }
  }
  if (!taken) {
    reply(client, refusal(id, std::to_string(kMaxWaiting) + " commands wait already", ""));
    return;
  }
  arrived.notify_all();
  // The answer cannot overtake this line: it leaves from this thread too, in deliver().
  send(client, contract::encode(pending));
}

void ControlServer::Impl::drop_gone() {
  for (const std::uint64_t id : gone) {
    const auto found = std::find_if(
        clients.begin(), clients.end(), [&](const ClientLink& c) { return c.id() == id; });
    if (found != clients.end()) {
      clients.erase(found);
    }
  }
  gone.clear();
}

/// Refuses what was never taken, and gives the last lines a quarter of a second to leave.
void ControlServer::Impl::say_goodbye() {
  std::deque<QueuedCommand> left;
  {
    const std::lock_guard lock(mutex);
    left.swap(incoming);
  }
  for (const auto& command : left) {
    for (auto& client : clients) {
      if (client.id() == command.client) {
        reply(client, refusal(command.command.id, "the training has ended", ""));
      }
    }
  }
  const auto until = ClientLink::Clock::now() + std::chrono::milliseconds(250);
  const auto waits = [](const ClientLink& client) { return client.has_unsent(); };
  while (std::any_of(clients.begin(), clients.end(), waits) && ClientLink::Clock::now() < until) {
    drop_gone();
    std::vector<pollfd> watched;
    for (const auto& client : clients) {
      if (client.has_unsent()) {
        watched.push_back({client.fd(), POLLOUT, 0});
      }
    }
    poll(watched.data(), watched.size(), 20);
    for (auto& client : clients) {
      if (!client.flush()) {
        gone.push_back(client.id());
      }
    }
  }
}

ControlServer::ControlServer(const std::string& socket_path, std::string engine_version)
    : impl_(std::make_unique<Impl>(socket_path, std::move(engine_version))) {}
ControlServer::~ControlServer() = default;

const std::string& ControlServer::path() const {
  return impl_->path;
}

std::vector<QueuedCommand> ControlServer::take() {
  const std::lock_guard lock(impl_->mutex);
  std::vector<QueuedCommand> taken(std::make_move_iterator(impl_->incoming.begin()),
                                   std::make_move_iterator(impl_->incoming.end()));
  impl_->incoming.clear();
  return taken;
}

bool ControlServer::wait(int ms) {
  std::unique_lock lock(impl_->mutex);
  return impl_->arrived.wait_for(
      lock, std::chrono::milliseconds(ms), [this] { return !impl_->incoming.empty(); });
}

void ControlServer::answer(const QueuedCommand& command, contract::Reply reply) {
  if (command.client == 0) {
    return;
  }
  reply.id = command.command.id;
  impl_->post({command.client, false, encode_reply(std::move(reply))});
}

void ControlServer::notify(const contract::Report& notice) {
  impl_->post(
      {0, std::holds_alternative<contract::CommittedNotice>(notice), contract::encode(notice)});
}

void ControlServer::set_status(const contract::StatusReport& status) {
  const std::lock_guard lock(impl_->mutex);
  impl_->status = status;
}

}  // namespace batchscope::train
