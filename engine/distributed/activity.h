#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace batchscope::train {

/// What a rank is doing. The last ones need the other ranks.
enum class Activity : std::int32_t {
  kStarting,
  kLoading,
  kComputing,
  kEvaluating,
  kSaving,
  kPaused,
  kMeeting,
  kAllReduce,
  kBroadcast,
  kGather,
  kExchange,
};
/// Whether it goes on only when all ranks have come.
constexpr bool waits_for_others(Activity activity) {
  return activity >= Activity::kMeeting;
}
/// "in the data loader", "in all-reduce": after "has been".
const char* text_of(Activity activity);

/// Where a rank says what it does; in memory that several processes may share.
struct ActivitySlot {
  std::atomic<std::int64_t> since_ms{0};  // of monotonic_ms(), when it last went on; 0: never
  std::atomic<std::int64_t> step{0};      // updates completed
  std::atomic<std::int32_t> activity{0}, pid{0};
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

/// A rank's activity as someone else sees it.
struct RankActivity {
  std::int64_t rank = 0;
  Activity activity = Activity::kStarting;
  std::int64_t step = 0;
  double seconds = 0;   // since it last went on
  bool halted = false;  // it stands still: SIGSTOP or a debugger
  bool silent = false;  // nothing is heard of its machine
  bool known = true;    // it has said something
};

/// Milliseconds of a clock that all processes of a machine share.
std::int64_t monotonic_ms();
/// What a slot says now. A process is looked at only when it has been silent for some seconds.
RankActivity read_activity(const ActivitySlot& slot, std::int64_t rank);
/// A process that SIGSTOP or a debugger holds.
bool is_halted(std::int64_t pid);

/// This process does `activity` from now on; said again: it goes on with it. Any thread, costs a
/// clock's reading.
void enter(Activity activity);
/// The updates that this process has completed.
void enter_step(std::int64_t step);
/// What this process does, and since when.
RankActivity own_activity();
/// From now on this process says it there, too; `slot` outlives the process's threads.
void show_activity_in(ActivitySlot& slot);

/// Does something for as long as it lives; then what was done before goes on.
class During {
 public:
  explicit During(Activity activity);
  ~During();
  During(const During&) = delete;
  During& operator=(const During&) = delete;

 private:
  Activity before_;
};

}  // namespace batchscope::train
