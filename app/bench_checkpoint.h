#pragma once

#include <cstdint>
#include <string>

namespace batchscope {

struct BenchCheckpointOptions {
  std::string model = "lab_faster_rcnn";
  std::string optimizer = "adamw";  // of optim.name
  std::int64_t batch = 8;           // pictures per step
  std::int64_t size = 32;           // side of the drawn pictures, px
  std::int64_t every = 4;           // updates between checkpoints
  std::int64_t saves = 5;           // checkpoints that are counted; one more comes before
  std::int64_t threads = 1;         // of torch's operators
};

/// What a checkpoint costs a training.
struct CheckpointCost {
  double state_mb = 0;        // of 10^6 bytes, of one checkpoint
  double waited_ms = 0;       // that the training stands still, mean of a save
  double written_ms = 0;      // that the writing takes in its thread, mean of a save
  double step_ms = 0;         // median update while nothing is saved
  double saving_step_ms = 0;  // median update that runs beside the copying and writing
  double extra_mib = 0;       // growth of the largest resident memory by the first save
  double waited_percent() const { return written_ms > 0 ? 100 * waited_ms / written_ms : 0; }
};

/// Trains on drawn pictures in a temporary folder and saves again and again, as a training does.
/// Throws contract::SpecError for options out of range.
CheckpointCost measure_checkpoint(const BenchCheckpointOptions& options);

}  // namespace batchscope
