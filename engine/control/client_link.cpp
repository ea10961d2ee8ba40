#include "engine/control/client_link.h"

#include "engine/contract/messages.h"

#include <cerrno>
#include <sys/socket.h>
#include <utility>

namespace batchscope::train {

ClientLink::ClientLink(std::uint64_t id, UnixSocket socket) : id_(id), socket_(std::move(socket)) {}

bool ClientLink::receive(const std::function<void(const std::string&)>& on_line,
                         const std::function<void()>& on_long_line) {
  char buffer[kReadPerTurn];
  const ssize_t count = recv(fd(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (count == 0) {
    return false;
  }
  if (count < 0) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  }
  const std::string_view bytes(buffer, std::size_t(count));
  std::size_t begin = 0;
  while (begin < bytes.size()) {
    const std::size_t end = bytes.find('\n', begin);
    const bool complete = end != std::string_view::npos;
    const auto piece = bytes.substr(begin, complete ? end - begin : std::string_view::npos);
    if (!skipping_ && received_.size() + piece.size() + 1 > contract::kMaxLineBytes) {
      skipping_ = true;
      received_ = std::string();
      on_long_line();
    }
    if (!skipping_) {
      received_.append(piece);
    }
    if (!complete) {
      break;
    }
    if (!skipping_ && !received_.empty()) {
      on_line(received_);
    }
    received_.clear();
    skipping_ = false;
    begin = end + 1;
  }
  return true;
}

bool ClientLink::send(const std::string& line) {
  if (!has_unsent()) {
    progress_ = Clock::now();
  }
  unsent_ += line;
  unsent_ += '\n';
  return flush();
}

bool ClientLink::flush() {
  while (has_unsent()) {
    const ssize_t count =
        ::send(fd(), unsent_.data() + sent_, unsent_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      const bool full = errno == EAGAIN || errno == EWOULDBLOCK;
      return full && unsent_.size() - sent_ <= kMaxUnsent && Clock::now() - progress_ <= kMaxStall;
    }
    sent_ += std::size_t(count);
    progress_ = Clock::now();
  }
  unsent_.clear();
  sent_ = 0;
  return true;
}

}  // namespace batchscope::train
