#pragma once

#include "engine/distributed/activity.h"

#include <cstdint>
#include <vector>

namespace batchscope::train {

/// What each rank of this machine does, in memory that the supervisor shares with its ranks: it can
/// be read when a rank hangs, stands still or is dead.
class RankBoard {
 public:
  /// A new one, in a memfd that children inherit if they are told to. Throws contract::Error.
  explicit RankBoard(std::int64_t ranks);
  /// That of another process. Throws contract::Error.
  RankBoard(int fd, std::int64_t ranks);
  ~RankBoard();
  RankBoard(const RankBoard&) = delete;
  RankBoard& operator=(const RankBoard&) = delete;

  int fd() const { return fd_; }
  ActivitySlot& slot(std::int64_t rank) { return slots_[rank]; }
  std::vector<RankActivity> read() const;

 private:
  void map();
  int fd_ = -1;
  std::int64_t ranks_ = 0;
  ActivitySlot* slots_ = nullptr;
};

}  // namespace batchscope::train
