#pragma once

#include "storage/catalogue.h"
#include "storage/run_reader.h"

#include <cstddef>
#include <filesystem>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

namespace batchscope::app {

/// What a terminal shows of a run; grows by reading only what is new. One thread.
class WatchedRun {
 public:
  explicit WatchedRun(const std::filesystem::path& folder_or_file);
  /// Reads what was committed since the last call.
  void update();
  const storage::RunSummary& summary() const { return summary_; }
  bool over() const;
  /// A frame of several lines, at most `width` characters each: state, progress, losses, module
  /// table, last evaluation, last events. `unicode` false: only ASCII.
  std::string frame(int width, bool unicode) const;
  /// One line: state, step, images, loss, lr, images/s.
  std::string line() const;
  /// Events that update() found since the last call of this.
  std::vector<contract::EventRecord> take_events();

 private:
  struct Sample {
    std::int64_t seq = 0;
    double value = 0;
  };
  double latest(const std::string& series) const;
  std::vector<double> live_losses() const;
  std::string progress_line(int width, bool unicode) const;
  std::string loss_line(int width, bool unicode) const;
  std::string module_table() const;

  std::filesystem::path path_;
  storage::RunReader reader_;
  storage::RunSummary summary_;
  storage::StoredState stored_;
  contract::RunInfo info_;
  std::vector<contract::SegmentRecord> segments_;
  storage::RowAxis axis_;
  storage::SeriesSamples loss_;
  std::map<std::string, Sample> latest_;
  std::vector<contract::EventRecord> events_;
  std::size_t events_taken_ = 0;
  std::int64_t last_event_ = 0, last_seq_ = 0;
};

struct WatchOptions {
  bool once = false;
  double interval_seconds = 0.5;  // between frames
  double plain_seconds = 5;       // between lines when not on a terminal
};

/// Shows a run until it ends: frames that redraw in place on a terminal, else lines as they come.
void watch_run(const std::filesystem::path& folder_or_file,
               const WatchOptions& options,
               bool terminal,
               std::ostream& out);

}  // namespace batchscope::app
