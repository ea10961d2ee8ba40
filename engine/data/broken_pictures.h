#pragma once

#include "engine/data/dataset.h"

#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace batchscope::train {

/// How many pictures of a set may be unreadable before a run ends: `max_broken` (data.max_broken)
/// of its size, one at least, and never all; 0 allows none.
std::int64_t allowed_broken(std::int64_t size, double max_broken);

/// The sentence that ends a run with more. what: "training", "validation".
std::string too_many_broken(std::int64_t broken,
                            std::int64_t size,
                            const std::string& what,
                            const std::string& last);

struct BrokenPicture {
  std::int64_t index = 0;
  std::string why;
};

/// The pictures of a training set, where one that cannot be read costs itself alone: the next one
/// of the set stands in its place, whichever rank or thread asks. Any thread.
class BrokenPictures {
 public:
  BrokenPictures(const Dataset& dataset, double max_broken);
  /// Picture `index`, or the next readable one (after the last comes the first). Throws
  /// contract::DataError once more are broken than are allowed.
  Sample get(std::int64_t index);
  /// Whether take_found() has any.
  bool has_found();
  /// Those that were found since the last call.
  std::vector<BrokenPicture> take_found();
  /// All ranks give all that they have taken, alike: a sentence for each that is new to all of
  /// them. Throws contract::DataError on all of them once more are broken than are allowed.
  std::vector<std::string> agree(std::vector<BrokenPicture> found);

 private:
  void add(std::int64_t index, const std::string& why);
  bool known(std::int64_t index);
  void require_few(std::size_t broken, const std::string& last) const;

  const Dataset& dataset_;
  const std::int64_t allowed_;
  std::mutex mutex_;  // guards what follows
  std::set<std::int64_t> broken_;
  std::vector<BrokenPicture> found_;
  std::set<std::int64_t> agreed_;  // one thread's
};

}  // namespace batchscope::train
