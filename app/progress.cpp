#include "app/progress.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <unistd.h>

namespace batchscope::app {
namespace {

constexpr std::chrono::seconds kBetweenLines{10};
constexpr int kBarWidth = 30;

bool on_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}

}  // namespace

Progress::Progress() : terminal_(on_terminal()) {}

void Progress::clear() {
  if (on_terminal()) {
    std::fputs("\r\033[K", stderr);
  }
}

void Progress::draw(const contract::StatusReport& status, double loss) const {
  std::string bar;
  if (terminal_) {
    const double part = status.steps > 0 ? double(status.step) / double(status.steps) : 0;
    const int full = std::clamp(int(part * kBarWidth), 0, kBarWidth);
    bar = "\r\033[K[" + std::string(std::size_t(full), '#') +
          std::string(std::size_t(kBarWidth - full), '.') + "] ";
  }
  std::fprintf(stderr,
               "%s%s, step %lld/%lld, loss %.4g, %s%s%s",
               bar.c_str(),
               status.phase.c_str(),
               static_cast<long long>(status.step),
               static_cast<long long>(status.steps),
               loss,
               status.optimizer.c_str(),
               status.agvm ? " + agvm" : "",
               terminal_ ? "" : "\n");
}

void Progress::show(const contract::StatusReport& status, double loss) {
  const auto now = Clock::now();
  if (!terminal_ && status.phase == phase_ && now - last_ < kBetweenLines) {
    return;
  }
  phase_ = status.phase;
  last_ = now;
  draw(status, loss);
}

}  // namespace batchscope::app
