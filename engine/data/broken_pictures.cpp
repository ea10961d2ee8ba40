#include "engine/data/broken_pictures.h"

#include "engine/contract/error.h"

#include <algorithm>
#include <utility>

namespace batchscope::train {

std::int64_t allowed_broken(std::int64_t size, double max_broken) {
  if (!(max_broken > 0)) {
    return 0;
  }
  return std::max<std::int64_t>(1,
                                static_cast<std::int64_t>(max_broken * static_cast<double>(size)));
}

std::string too_many_broken(std::int64_t broken,
                            std::int64_t size,
                            const std::string& what,
                            const std::string& last) {
  return std::to_string(broken) + " of " + std::to_string(size) + " pictures of the " + what +
         " set cannot be used, more than data.max_broken allows (data check names them all); the "
         "last: " +
         last;
}

BrokenPictures::BrokenPictures(const Dataset& dataset, double max_broken)
    : dataset_(dataset), allowed_(allowed_broken(dataset.size(), max_broken)) {}

bool BrokenPictures::known(std::int64_t index) {
  const std::lock_guard lock(mutex_);
  return broken_.contains(index);
}

void BrokenPictures::add(std::int64_t index, const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (!broken_.insert(index).second) {
    return;  // another thread met it, too
  }
  const auto count = static_cast<std::int64_t>(broken_.size());
  if (count > allowed_) {
    throw contract::DataError(
        allowed_ == 0 ? why : too_many_broken(count, dataset_.size(), "training", why));
  }
  warnings_.push_back("A picture is left out of training, the next one takes its place: " + why);
}

Sample BrokenPictures::get(std::int64_t index) {
  for (;; index = (index + 1) % dataset_.size()) {
    if (known(index)) {
      continue;
    }
    try {
      return dataset_.get(index);
    } catch (const contract::DataError& error) {
      add(index, error.what());
    }
  }
}

std::vector<std::string> BrokenPictures::take_warnings() {
  const std::lock_guard lock(mutex_);
  return std::exchange(warnings_, {});
}

}  // namespace batchscope::train
