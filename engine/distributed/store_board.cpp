#include "engine/distributed/store_board.h"

#include <cstdio>

namespace batchscope::train {
namespace {

constexpr std::chrono::seconds kStorePatience{5};
constexpr double kSilent = 10;  // seconds without a new word

std::string key_of(std::int64_t rank) {
  return "activity/" + std::to_string(rank);
}

}  // namespace

StoreBoard::StoreBoard(const c10::intrusive_ptr<c10d::Store>& store,
                       std::int64_t rank,
                       std::int64_t size)
    : store_(store->clone()), rank_(rank), size_(size) {
  store_->setTimeout(kStorePatience);
}

std::vector<RankActivity> StoreBoard::exchange() {
  const RankActivity own = own_activity();
  char word[128];
  std::snprintf(word,
                sizeof word,
                "%lld %d %lld %.3f",
                static_cast<long long>(++said_),
                static_cast<int>(own.activity),
                static_cast<long long>(own.step),
                own.seconds);
  store_->set(key_of(rank_), std::string(word));
  std::vector<RankActivity> all;
  for (std::int64_t rank = 0; rank_ == 0 && rank < size_; ++rank) {
    all.push_back(rank == 0 ? own : read(rank));
  }
  return all;
}

RankActivity StoreBoard::read(std::int64_t rank) {
  RankActivity seen;
  seen.rank = rank;
  seen.known = store_->check({key_of(rank)});
  if (!seen.known) {
    return seen;
  }
  const std::string word = store_->get_to_str(key_of(rank));
  Heard& heard = heard_[rank];
  const std::int64_t now = monotonic_ms();
  if (heard.word != word) {
    heard = {word, now};
  }
  long long number = 0, step = 0;
  int activity = 0;
  if (std::sscanf(word.c_str(), "%lld %d %lld %lf", &number, &activity, &step, &seen.seconds) !=
      4) {
    seen.known = false;
    return seen;
  }
  const double since = static_cast<double>(now - heard.at_ms) / 1000;
  seen.activity = static_cast<Activity>(activity);
  seen.step = step;
  seen.seconds += since;
  seen.silent = since >= kSilent;
  return seen;
}

}  // namespace batchscope::train
