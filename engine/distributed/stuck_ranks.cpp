#include "engine/distributed/stuck_ranks.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace batchscope::train {
namespace {

double default_patience(Activity activity) {
  switch (activity) {
    case Activity::kLoading:
      return 30;
    case Activity::kStarting:
    case Activity::kComputing:
    case Activity::kEvaluating:
      return 120;
    default:
      return 60;
  }
}

std::string seconds_text(double seconds) {
  return std::to_string(static_cast<std::int64_t>(std::floor(seconds))) + " s";
}

/// "rank 3", "ranks 0 to 2", "ranks 0, 2 and 5"; ascending.
std::string names_of(const std::vector<std::int64_t>& ranks) {
  const auto count = static_cast<std::int64_t>(ranks.size());
  if (count == 1) {
    return "rank " + std::to_string(ranks.front());
  }
  if (count > 2 && ranks.back() - ranks.front() == count - 1) {
    return "ranks " + std::to_string(ranks.front()) + " to " + std::to_string(ranks.back());
  }
  constexpr std::int64_t kNamed = 8;
  std::string text = "ranks " + std::to_string(ranks.front());
  for (std::int64_t i = 1; i < std::min(count, kNamed); ++i) {
    text += (i + 1 == count ? " and " : ", ") + std::to_string(ranks[static_cast<std::size_t>(i)]);
  }
  return count > kNamed ? text + " and " + std::to_string(count - kNamed) + " more" : text;
}

std::string capital(std::string text) {
  text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

std::string told_of(const RankActivity& rank) {
  std::string text = names_of({rank.rank});
  text += rank.halted   ? " stands still (it was stopped by a signal) and has been "
          : rank.silent ? " is not heard of and has been "
                        : " has been ";
  text += std::string(text_of(rank.activity)) + " for " + seconds_text(rank.seconds);
  return rank.activity == Activity::kStarting
             ? text
             : text + ", in update " + std::to_string(rank.step + 1);
}

/// "; ranks 0 to 2 wait for it in all-reduce", for those that wait in the same.
std::string waiting_text(const std::vector<RankActivity>& all, std::size_t stuck) {
  std::string text;
  for (int a = 0; a <= static_cast<int>(Activity::kExchange); ++a) {
    const auto activity = static_cast<Activity>(a);
    std::vector<std::int64_t> there;
    for (const RankActivity& rank : all) {
      if (rank.known && !rank.halted && !rank.silent && waits_for_others(activity) &&
          rank.activity == activity) {
        there.push_back(rank.rank);
      }
    }
    if (!there.empty()) {
      text += (text.empty() ? "; " : ", ") + names_of(there) +
              (there.size() == 1 ? " waits" : " wait") + " for " + (stuck == 1 ? "it" : "them") +
              " " + text_of(activity);
    }
  }
  return text;
}

/// Nobody does anything of its own: a message was lost, or a rank that cannot be seen.
std::optional<StuckRanks> all_wait(const std::vector<RankActivity>& all, double timeout) {
  StuckRanks stuck;
  stuck.seconds = std::numeric_limits<double>::infinity();
  for (const RankActivity& rank : all) {
    if (!waits_for_others(rank.activity) || rank.seconds <= patience_for(rank.activity, timeout)) {
      return std::nullopt;
    }
    stuck.ranks.push_back(rank.rank);
    stuck.seconds = std::min(stuck.seconds, rank.seconds);
  }
  if (all.size() < 2) {
    return std::nullopt;
  }
  const Activity first = all.front().activity;
  const bool same = std::all_of(
      all.begin(), all.end(), [&](const RankActivity& rank) { return rank.activity == first; });
  stuck.text = "All ranks have been waiting for each other " +
               std::string(same ? text_of(first) : "in different collectives") + " for " +
               seconds_text(stuck.seconds) + ", in update " + std::to_string(all.front().step + 1) +
               ".";
  return stuck;
}

}  // namespace

double patience_for(Activity activity, double timeout) {
  return activity == Activity::kPaused ? std::numeric_limits<double>::infinity()
                                       : std::min(default_patience(activity), timeout / 2);
}

std::string StuckRanks::clause() const {
  std::string said = text.substr(0, text.size() - 1);
  said[0] = static_cast<char>(said[0] - 'A' + 'a');
  return said;
}

std::optional<StuckRanks> find_stuck(const std::vector<RankActivity>& all, double timeout) {
  StuckRanks stuck;
  std::string text;
  for (const RankActivity& rank : all) {
    const bool still = rank.halted || rank.silent;
    const bool own = still || !waits_for_others(rank.activity);
    const double patience =
        still ? std::min(10.0, timeout / 2) : patience_for(rank.activity, timeout);
    if (rank.known && own && rank.seconds > patience) {
      stuck.ranks.push_back(rank.rank);
      stuck.seconds = std::max(stuck.seconds, rank.seconds);
      text += (text.empty() ? "" : "; ") + told_of(rank);
    }
  }
  if (stuck.ranks.empty()) {
    return all_wait(all, timeout);
  }
  stuck.text = capital(text) + waiting_text(all, stuck.ranks.size()) + ".";
  return stuck;
}

std::optional<StuckNews> StuckWatch::look(const std::vector<RankActivity>& all) {
  const std::optional<StuckRanks> stuck = find_stuck(all, timeout_);
  if (!stuck) {
    if (named_.empty()) {
      return std::nullopt;
    }
    StuckNews news{capital(names_of(named_)) + (named_.size() == 1 ? " goes" : " go") +
                       " on, after " + seconds_text(longest_) + ".",
                   true};
    named_.clear();
    return news;
  }
  longest_ = stuck->seconds;
  const bool again = stuck->ranks == named_ && stuck->seconds < 2 * said_at_;
  if (again) {
    return std::nullopt;
  }
  named_ = stuck->ranks;
  said_at_ = stuck->seconds;
  return StuckNews{stuck->text, false};
}

}  // namespace batchscope::train
