#pragma once

#include "engine/data/broken_pictures.h"
#include "engine/data/dataset.h"
#include "engine/data/sampler.h"
#include "models/detector.h"

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace batchscope::train {

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
