#include "engine/distributed/activity.h"

#include <ctime>
#include <fstream>
#include <string>
#include <unistd.h>

namespace batchscope::train {
namespace {

ActivitySlot own_slot;
std::atomic<ActivitySlot*> shown{&own_slot};

}  // namespace

const char* text_of(Activity activity) {
  switch (activity) {
    case Activity::kStarting:
      return "starting";
    case Activity::kLoading:
      return "in the data loader";
    case Activity::kComputing:
      return "computing";
    case Activity::kEvaluating:
      return "evaluating";
    case Activity::kSaving:
      return "saving";
    case Activity::kPaused:
      return "paused";
    case Activity::kMeeting:
      return "in the meeting of the ranks";
    case Activity::kAllReduce:
      return "in all-reduce";
    case Activity::kBroadcast:
      return "in broadcast";
    case Activity::kGather:
      return "in all-gather";
    case Activity::kExchange:
      return "in the exchange of gradients";
  }
  return "somewhere";
}

std::int64_t monotonic_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

bool is_halted(std::int64_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(stat, text);
  const std::size_t name_end = text.rfind(')');
  return name_end != std::string::npos && name_end + 2 < text.size() &&
         (text[name_end + 2] == 'T' || text[name_end + 2] == 't');
}

RankActivity read_activity(const ActivitySlot& slot, std::int64_t rank) {
  constexpr double kSilent = 2;
  RankActivity seen;
  seen.rank = rank;
  const std::int64_t since = slot.since_ms.load();
  seen.known = since > 0;
  seen.activity = static_cast<Activity>(slot.activity.load());
  seen.step = slot.step.load();
  seen.seconds = seen.known ? static_cast<double>(monotonic_ms() - since) / 1000 : 0;
  seen.halted = seen.seconds >= kSilent && slot.pid.load() > 0 && is_halted(slot.pid.load());
  return seen;
}

void enter(Activity activity) {
  ActivitySlot& slot = *shown.load(std::memory_order_relaxed);
  slot.activity.store(static_cast<std::int32_t>(activity), std::memory_order_relaxed);
  slot.since_ms.store(monotonic_ms(), std::memory_order_relaxed);
}

void enter_step(std::int64_t step) {
  shown.load(std::memory_order_relaxed)->step.store(step, std::memory_order_relaxed);
}

RankActivity own_activity() {
  return read_activity(*shown.load(), 0);
}

void show_activity_in(ActivitySlot& slot) {
  slot.pid = getpid();
  shown = &slot;
  enter(Activity::kStarting);
}

During::During(Activity activity)
    : before_(static_cast<Activity>(shown.load()->activity.load(std::memory_order_relaxed))) {
  enter(activity);
}

During::~During() {
  enter(before_);
}

}  // namespace batchscope::train
