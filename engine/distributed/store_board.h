#pragma once

#include "engine/distributed/activity.h"

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace batchscope::train {

/// What each rank of a job does, through the job's store: for ranks on several machines. One
/// thread.
class StoreBoard {
 public:
  StoreBoard(const c10::intrusive_ptr<c10d::Store>& store, std::int64_t rank, std::int64_t size);
  /// Says what this rank does; on rank 0 what all do, elsewhere nothing. Throws when the store is
  /// gone.
  std::vector<RankActivity> exchange();

 private:
  struct Heard {
    std::string word;
    std::int64_t at_ms = 0;  // when it was new
  };
  RankActivity read(std::int64_t rank);

  c10::intrusive_ptr<c10d::Store> store_;
  std::int64_t rank_, size_, said_ = 0;
  std::map<std::int64_t, Heard> heard_;
};

}  // namespace batchscope::train
