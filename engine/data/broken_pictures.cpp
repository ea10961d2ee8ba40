#include "engine/data/broken_pictures.h"

#include "engine/contract/error.h"

#include <algorithm>
#include <utility>

namespace batchscope::train {

std::int64_t allowed_broken(std::int64_t size, double max_broken) {
  if (!(max_broken > 0)) {
    return 0;
  }
  const auto part = static_cast<std::int64_t>(max_broken * static_cast<double>(size));
  return std::min(std::max<std::int64_t>(1, part), size - 1);
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

void BrokenPictures::require_few(std::size_t broken, const std::string& last) const {
  if (static_cast<std::int64_t>(broken) > allowed_) {
    throw contract::DataError(
        too_many_broken(static_cast<std::int64_t>(broken), dataset_.size(), "training", last));
  }
}

void BrokenPictures::add(std::int64_t index, const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (!broken_.insert(index).second) {
    return;  // another thread met it, too
  }
  require_few(broken_.size(), why);
  found_.push_back({index, why});
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

bool BrokenPictures::has_found() {
  const std::lock_guard lock(mutex_);
  return !found_.empty();
}

std::vector<BrokenPicture> BrokenPictures::take_found() {
  const std::lock_guard lock(mutex_);
  return std::exchange(found_, {});
}

std::vector<std::string> BrokenPictures::agree(std::vector<BrokenPicture> found) {
  std::ranges::stable_sort(found, {}, &BrokenPicture::index);
  std::vector<std::string> warnings;
  std::string last;
  for (const BrokenPicture& picture : found) {
    if (agreed_.insert(picture.index).second) {
      last = picture.why;
      warnings.push_back("A picture is left out of training, the next one takes its place: " +
                         last);
    }
  }
  require_few(agreed_.size(), last);
  return warnings;
}

}  // namespace batchscope::train
