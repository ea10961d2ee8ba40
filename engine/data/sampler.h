#pragma once

#include <cstdint>
#include <vector>

namespace batchscope::train {

/// What a seed is drawn for: equal numbers with different purposes give unrelated seeds.
enum SeedPurpose : std::uint64_t {
  kSeedDetector = 0,  // random choices of the detector in a micro-batch
  kSeedOrder = 1,     // order of the pictures in an epoch
  kSeedFlip = 2,      // horizontal flip of a picture in an epoch
  kSeedPicture = 3,   // content of a drawn picture
  kSeedSize = 4,      // size of a picture in an epoch
};

/// SplitMix64 over the words: the one hash that turns (seed, epoch, number, purpose) into a
/// generator's seed. mix(x) = finaliser of Steele, Lea and Flood (2014), s = mix(seed), then
/// s = mix(s ^ word) for a, b and purpose.
std::uint64_t mix_seed(std::uint64_t seed,
                       std::uint64_t a,
                       std::uint64_t b,
                       std::uint64_t purpose = kSeedDetector);

/// The endless stream of pictures of a training: per-epoch permutations one after another. A
/// function of (seed, size).
class Sampler {
 public:
  Sampler(std::int64_t size, std::uint64_t seed);
  /// Index of picture number `position` (0-based) of the stream; epoch = position / size.
  std::int64_t index(std::int64_t position);
  std::int64_t epoch(std::int64_t position) const { return position / size_; }

 private:
  std::int64_t size_;
  std::uint64_t seed_;
  std::int64_t cached_epoch_ = -1;
  std::vector<std::int64_t> order_;
};

/// Which pictures of the stream an update uses, and which of them are this rank's. Micro-batches
/// are numbered j = 0…N-1 over the whole step in stream order; rank r holds a contiguous range of
/// them.
struct StepPlan {
  std::int64_t first = 0;     // stream position of the first picture
  std::int64_t pictures = 0;  // of the whole step, all ranks
  std::int64_t micro = 1;     // pictures per micro-batch (the last of the last step may be smaller)
  std::int64_t micros = 1;    // N, all ranks
  std::int64_t first_micro = 0;  // this rank's
  std::int64_t last_micro = 0;   // one past
};
/// The plan of the update that starts at stream position `first`. The step has
/// micro·accumulation·ranks pictures, N = ranks·accumulation micro-batches, and rank r holds
/// j = r·accumulation … (r+1)·accumulation - 1. The last step has what is left of total_images: its
/// N = ceil(pictures / micro) micro-batches are dealt in order as evenly as possible, the first
/// N mod ranks ranks holding one more; some ranks may have none. Throws std::invalid_argument for a
/// count below 1, a rank outside 0…ranks-1 or a position outside 0…total_images-1.
StepPlan plan_step(std::int64_t first,
                   std::int64_t total_images,
                   std::int64_t micro,
                   std::int64_t accumulation,
                   std::int64_t rank,
                   std::int64_t ranks);

}  // namespace batchscope::train
