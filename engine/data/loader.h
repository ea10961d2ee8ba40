#pragma once

#include "engine/data/broken_pictures.h"
#include "engine/data/dataset.h"
#include "models/detector.h"

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
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

/// One forward/backward pass worth of pictures, ready for Detector::losses.
struct MicroBatch {
  std::int64_t number = 0;  // j in the step
  std::int64_t first = 0;   // stream position of its first picture
  std::uint64_t seed = 0;   // mix_seed(seed, epoch, index of its first picture)
  torch::Tensor images;     // [B, 3, H, W] float32, normalised, padded right and bottom with zeros
  std::vector<std::pair<std::int64_t, std::int64_t>> sizes;
  std::vector<models::Target> targets;
  std::int64_t pictures() const { return static_cast<std::int64_t>(sizes.size()); }
};

struct TransformOptions {
  models::InputTransform input;
  /// Short sides of which each picture gets one in each epoch, px; empty: input.min_size.
  std::vector<std::int64_t> min_sizes;
  double flip = 0;        // probability
  double max_broken = 0;  // of the set's pictures may be unreadable: BrokenPictures
};

/// Decodes, transforms and batches ahead in its own threads (0: in next()), at most threads + 2
/// micro-batches. next() hands out this rank's micro-batches in the order of the plans; what a
/// batch holds never depends on threads or timing. One consumer thread. Threads that hang in the
/// reading of a picture are left behind by the destructor after a while.
class Loader {
 public:
  Loader(std::shared_ptr<const Dataset> dataset,
         std::uint64_t seed,
         TransformOptions transform,
         std::int64_t threads);
  ~Loader();
  /// Announces a coming step (call a few ahead of next()); after cancel() plans start afresh.
  void announce(const StepPlan& plan);
  void cancel();
  /// Next micro-batch of the announced plans. Rethrows a DataError of pictures, once more of them
  /// are broken than may be. While it waits for one (with threads) it asks `give_up` now and then,
  /// and throws contract::Error (kInterrupted) if that is true: a reading that hangs cannot be
  /// ended.
  MicroBatch next(const std::function<bool()>& give_up = {});
  /// The pictures that could not be read.
  BrokenPictures& broken();
  /// Micro-batches announced and not yet handed out.
  std::int64_t pending() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // of its threads, too
};

/// Prepares one picture for inference: float, resized, normalised. Returns image [3, h, w] and the
/// scale from stored picture to tensor pixels (x and y).
struct PreparedPicture {
  torch::Tensor image;
  double scale_x = 1, scale_y = 1;
};
PreparedPicture prepare_picture(const torch::Tensor& image,
                                const models::InputTransform& transform);
/// Pads prepared pictures (all [3, h, w]) to one batch [B, 3, H, W], sides multiples of `divisor`.
torch::Tensor pad_batch(const std::vector<torch::Tensor>& images, std::int64_t divisor);

}  // namespace batchscope::train
