#include "engine/data/sampler.h"

#include "engine/data/draw_random.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

namespace batchscope::train {
namespace {

std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

void require(bool holds, const char* what, std::int64_t found) {
  if (!holds) {
    throw std::invalid_argument(std::string(what) + ", found " + std::to_string(found));
  }
}

}  // namespace

std::uint64_t mix_seed(std::uint64_t seed,
                       std::uint64_t a,
                       std::uint64_t b,
                       std::uint64_t purpose) {
  std::uint64_t state = mix(seed);
  for (const std::uint64_t word : {a, b, purpose}) {
    state = mix(state ^ word);
  }
  return state;
}

Sampler::Sampler(std::int64_t size, std::uint64_t seed) : size_(size), seed_(seed) {
  require(size > 0, "sampler: expected at least one picture", size);
}

std::int64_t Sampler::index(std::int64_t position) {
  require(position >= 0, "sampler: expected a stream position of 0 or more", position);
  const std::int64_t wanted = epoch(position);
  if (wanted != cached_epoch_) {
    order_.resize(static_cast<std::size_t>(size_));
    std::iota(order_.begin(), order_.end(), std::int64_t{0});
    DrawRandom random(mix_seed(seed_, static_cast<std::uint64_t>(wanted), 0, kSeedOrder));
    for (std::size_t i = order_.size(); i > 1; --i) {
      std::swap(order_[i - 1], order_[random.below(i)]);
    }
    cached_epoch_ = wanted;
  }
  return order_[static_cast<std::size_t>(position % size_)];
}

StepPlan plan_step(std::int64_t first,
                   std::int64_t total_images,
                   std::int64_t micro,
                   std::int64_t accumulation,
                   std::int64_t rank,
                   std::int64_t ranks) {
  require(micro > 0, "step plan: expected micro > 0", micro);
  require(accumulation > 0, "step plan: expected accumulation > 0", accumulation);
  require(ranks > 0, "step plan: expected ranks > 0", ranks);
  require(rank >= 0 && rank < ranks, "step plan: expected a rank below the number of ranks", rank);
  require(first >= 0 && first < total_images,
          "step plan: expected a position before the end of the run",
          first);
  StepPlan plan;
  plan.first = first;
  plan.micro = micro;
  plan.pictures = std::min(micro * accumulation * ranks, total_images - first);
  plan.micros = (plan.pictures + micro - 1) / micro;
  const std::int64_t each = plan.micros / ranks;
  const std::int64_t extra = plan.micros % ranks;
  plan.first_micro = rank * each + std::min(rank, extra);
  plan.last_micro = plan.first_micro + each + (rank < extra ? 1 : 0);
  return plan;
}

}  // namespace batchscope::train
