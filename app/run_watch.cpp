#include "app/run_watch.h"

#include "app/terminal_text.h"
#include "storage/lineage.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <ostream>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>

namespace batchscope::app {
namespace {

using contract::RunState;

constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds);
  if (whole >= 3600) {
    return std::to_string(whole / 3600) + " h " + std::to_string(whole % 3600 / 60) + " min";
  }
  return whole >= 60 ? std::to_string(whole / 60) + " min " + std::to_string(whole % 60) + " s"
                     : std::to_string(whole) + " s";
}

std::string event_text(const contract::EventRecord& event) {
  const std::string time = event.time.size() >= 19 ? event.time.substr(11, 8) : event.time;
  return printable(time + "  step " + std::to_string(event.step) + "  " + event.kind + " (" +
                   event.source + ")  " + event.text);
}

bool is_over(RunState state) {
  return state == RunState::kFinished || state == RunState::kStopped ||
         state == RunState::kFailed || state == RunState::kLost;
}

int terminal_width() {
  winsize size{};
  constexpr int kUsual = 80;
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : kUsual;
}

bool speaks_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value && *value) {
      const std::string text = value;
      return text.find("UTF-8") != std::string::npos || text.find("utf8") != std::string::npos;
    }
  }
  return false;
}

void pause_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

/// The frame over the last one: lines are cleared as they are written, so that nothing flickers.
void redraw(const std::string& frame, std::ostream& out) {
  std::string text = "\x1b[H";
  for (const char c : frame) {
    text += c == '\n' ? "\x1b[K\n" : std::string(1, c);
  }
  out << text << "\x1b[J" << std::flush;
}

}  // namespace

WatchedRun::WatchedRun(const std::filesystem::path& folder_or_file)
    : path_(folder_or_file), reader_(folder_or_file) {
  update();
}

void WatchedRun::update() {
  summary_ = storage::summarise(path_);
  info_ = reader_.info();
  stored_ = reader_.state();
  segments_ = reader_.segments();
  const std::int64_t newest = reader_.read_axis(last_seq_, axis_);
  const std::vector<contract::SeriesInfo> series = reader_.series();
  for (std::size_t id = 0; id < series.size(); ++id) {
    storage::SeriesSamples fresh;
    storage::SeriesSamples& to = series[id].name == "loss" ? loss_ : fresh;
    const std::size_t before = to.seq.size();
    reader_.read_series(static_cast<std::int32_t>(id), last_seq_, to, newest);
    if (to.seq.size() > before) {
      latest_[series[id].name] = {to.seq.back(), to.value.back()};
    }
  }
  last_seq_ = newest;
  for (const storage::StoredEvent& event : reader_.events(last_event_)) {
    events_.push_back(event.record);
    last_event_ = event.id;
  }
}

bool WatchedRun::over() const {
  return is_over(summary_.state);
}

double WatchedRun::latest(const std::string& series) const {
  const auto found = latest_.find(series);
  return found == latest_.end() ? kNotMeasured : found->second.value;
}

std::vector<double> WatchedRun::live_losses() const {
  const std::vector<storage::LineageSpan> spans = storage::lineage(segments_);
  std::vector<double> values;
  std::size_t at = 0;
  for (std::size_t row = 0; row < axis_.seq.size() && at < loss_.seq.size(); ++row) {
    if (loss_.seq[at] != axis_.seq[row]) {
      continue;
    }
    if (spans.empty() || storage::on_lineage(spans, axis_.segment[row], axis_.step[row])) {
      values.push_back(loss_.value[at]);
    }
    ++at;
  }
  return values;
}

std::string WatchedRun::progress_line(int width, bool unicode) const {
  const double share =
      summary_.steps > 0 ? static_cast<double>(summary_.step) / static_cast<double>(summary_.steps)
                         : 0;
  std::string text = " " + std::to_string(static_cast<int>(share * 100)) + " %  step " +
                     std::to_string(summary_.step) + "/" + std::to_string(summary_.steps) + "  " +
                     std::to_string(summary_.images) + " images";
  const double speed = latest("images_per_s");
  if (speed > 0) {
    text += "  " + short_number(std::round(speed * 10) / 10) + " images/s";
    const auto left = static_cast<double>(info_.total_images - summary_.images);
    if (!over() && left > 0) {
      text += "  about " + duration_text(left / speed) + " left";
    }
  }
  const int room = std::clamp(width - static_cast<int>(text.size()) - 2, 10, 40);
  return "[" + bar(share, room, unicode) + "]" + text + "\n";
}

std::string WatchedRun::loss_line(int width, bool unicode) const {
  const std::vector<double> losses = live_losses();
  if (losses.empty()) {
    return "loss  not measured yet\n";
  }
  const std::string head = "loss  " + fitted(short_number(losses.back()), 11);
  const auto columns = static_cast<std::size_t>(std::clamp(width - 18, 10, 60));
  return head + sparkline(losses, columns, unicode) + "\n";
}

std::string WatchedRun::module_table() const {
  std::string rows;
  for (const std::string& module : info_.modules) {
    const auto d = latest_.find("d/" + module);
    const auto mu = latest_.find("mu/" + module);
    if (d == latest_.end() && mu == latest_.end()) {
      continue;
    }
    rows += fitted(module, 17) +
            fitted(d == latest_.end() ? "-" : short_number(d->second.value), 14) +
            (mu == latest_.end() ? "-" : short_number(mu->second.value)) + "\n";
  }
  return rows.empty() ? rows
                      : fitted("module", 17) + fitted("variance d", 14) + "factor mu\n" + rows;
}

std::string WatchedRun::frame(int width, bool unicode) const {
  const contract::StatusReport& report = stored_.report;
  std::string text =
      printable(summary_.name + " (" + summary_.id + ")") + "\n" +
      contract::to_string(summary_.state) + ": " +
      printable((summary_.phase.empty() ? "" : summary_.phase + ", ") + summary_.evidence) + "\n" +
      (summary_.trouble.empty() ? "" : "trouble: " + printable(summary_.trouble) + "\n") +
      progress_line(width, unicode) + "optimizer " + printable(summary_.optimizer) + "  lr " +
      short_number(std::isnan(latest("lr")) ? report.lr_in_use : latest("lr")) + "  batch " +
      std::to_string(report.micro) + " x " + std::to_string(report.accumulation) + " x " +
      std::to_string(report.ranks) + " = " + std::to_string(summary_.effective_batch) + "\n" +
      loss_line(width, unicode) + module_table();
  if (!summary_.metrics.empty()) {
    text += "evaluation";
    for (const char* name : {"PQ", "AP", "AP50", "AP75", "segm_AP", "OpenImages_AP50", "mIoU"}) {
      const auto found = summary_.metrics.find(name);
      if (found != summary_.metrics.end()) {
        text += std::string("  ") + name + " " + short_figure(found->second);
      }
    }
    text += "\n";
  }
  constexpr std::size_t kEvents = 6;
  const std::size_t first = events_.size() > kEvents ? events_.size() - kEvents : 0;
  for (std::size_t i = first; i < events_.size(); ++i) {
    text += event_text(events_[i]) + "\n";
  }
  std::string clipped;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    std::string one = fitted(text.substr(begin, end - begin), static_cast<std::size_t>(width) + 1);
    one.erase(one.find_last_not_of(' ') + 1);
    clipped += one + "\n";
    begin = end + 1;
  }
  return clipped;
}

std::string WatchedRun::line() const {
  std::string text = contract::to_string(summary_.state) + "  step " +
                     std::to_string(summary_.step) + "/" + std::to_string(summary_.steps) +
                     "  images " + std::to_string(summary_.images);
  for (const char* name : {"loss", "lr", "images_per_s"}) {
    if (latest_.contains(name)) {
      text += std::string("  ") + name + " " + short_number(latest(name));
    }
  }
  if (!summary_.trouble.empty()) {
    text += "  trouble: " + printable(summary_.trouble);
  }
  return text;
}

std::vector<contract::EventRecord> WatchedRun::take_events() {
  std::vector<contract::EventRecord> fresh(
      events_.begin() + static_cast<std::ptrdiff_t>(events_taken_), events_.end());
  events_taken_ = events_.size();
  return fresh;
}

void watch_run(const std::filesystem::path& folder_or_file,
               const WatchOptions& options,
               bool terminal,
               std::ostream& out) {
  WatchedRun run(folder_or_file);
  const bool unicode = speaks_utf8();
  if (options.once) {
    out << run.frame(terminal ? terminal_width() : 100, unicode) << std::flush;
    return;
  }
  if (terminal) {
    out << "\x1b[2J";
  }
  for (;; run.update()) {
    if (terminal) {
      redraw(run.frame(terminal_width(), unicode), out);
    } else {
      for (const contract::EventRecord& event : run.take_events()) {
        out << event_text(event) << "\n";
      }
      out << run.line() << std::endl;
    }
    if (run.over()) {
      out << run.summary().evidence << std::endl;
      return;
    }
    pause_for(terminal ? options.interval_seconds : options.plain_seconds);
  }
}

}  // namespace batchscope::app
