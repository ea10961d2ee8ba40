#pragma once

#include "engine/distributed/activity.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::train {

/// Seconds that a rank may take for one piece of an activity before it is named: starting 120,
/// loading 30, computing 120, evaluating 120, saving 60, waiting for the others 60, paused without
/// end; none longer than half of `timeout` (distributed.timeout, s), so that who is waited for is
/// named before a collective gives up.
double patience_for(Activity activity, double timeout);

/// Ranks that hold up a job.
struct StuckRanks {
  std::vector<std::int64_t> ranks;
  double seconds = 0;  // of the one that has been longest
  /// "Rank 3 has been in the data loader for 45 s, in update 121; ranks 0 to 2 wait for it in
  /// all-reduce."
  std::string text;
  /// The same within a sentence.
  std::string clause() const;
};
/// Those that have been in something of their own, or stand still, for longer than its patience;
/// where there are none, all of them if all wait for each other for so long. Nobody: nothing.
std::optional<StuckRanks> find_stuck(const std::vector<RankActivity>& all, double timeout);

/// What is new about stuck ranks.
struct StuckNews {
  std::string text;
  bool over = false;  // they go on
};
/// Says once who is stuck, again after twice the time, and that it is over.
class StuckWatch {
 public:
  explicit StuckWatch(double timeout) : timeout_(timeout) {}
  std::optional<StuckNews> look(const std::vector<RankActivity>& all);

 private:
  double timeout_;
  std::vector<std::int64_t> named_;
  double said_at_ = 0, longest_ = 0;
};

}  // namespace batchscope::train
