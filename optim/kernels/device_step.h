#pragma once

#include "optim/kernels/update_math.h"

#include <cstdint>

/// One update on a CUDA device, without a look from the host: norms, the guard, clipping and trust
/// ratios stay on the device, and the report is read when all is done. Plain structs, shared with
/// nvcc (C++17). CMake links either device_step.cu or no_cuda.cpp, whose functions throw.
namespace batchscope::optim::kernels {

enum class GradType : std::int32_t { kFloat32, kFloat64, kFloat16, kBFloat16 };

/// One tensor of a step; dense memory on one device, elements in one order. w, m, v and u have the
/// dtype of the state.
struct DevicePiece {
  void* w = nullptr;
  const void* g = nullptr;
  void* m = nullptr;
  void* v = nullptr;  // null: SGD and LARS
  void* u = nullptr;  // place of the direction, where a trust ratio needs it; else null
  std::int64_t elements = 0;
  double decay = 0;
  double rate = 0;    // lr · mu
  double folded = 0;  // LARS pre form: rate in the buffer before
  GradType grad = GradType::kFloat32;
  bool adapts = false;
};

/// All that an update depends on besides the tensors.
struct DeviceRules {
  bool adaptive = false;  // AdamW and the LAMB family; else SGD and LARS
  bool wide = false;      // state of float64
  bool norms = false;
  bool dry = false;  // the weights stay; every piece has a u, where its direction is left
  double clip_norm = 0;
  bool clip_lamb = false;
  double largest_norm = 0;
  // adaptive
  math::Blend store1, store2, read1, read2;
  bool readout = false;
  double mass1 = 1, mass2 = 1, eps = 0;
  math::TrustRule trust;
  bool skip_dead = false, forgotten = false;  // forgotten: the history counts as zero
  // SGD and LARS
  double keep = 0, gain = 1, own = 0, buffer = 1;
  bool lars = false, lars_pre = false, lars_clip = false, compat_ratio1 = false;
  double trust_coefficient = 0, weight_decay = 0;
};

/// What happened to one tensor.
struct DeviceOutcome {
  double g = 0, w = 0, u = 0, m = 0, v = 0;  // sums of squares; g before clipping
  double trust = 1, factor = 0;
  double keep = 0, scale = 1;
  std::int32_t adapted = 0, silent = 0, dead = 0;
};

struct DeviceReport {
  double grad_norm = 0, clip = 1;
  std::int32_t applied = 0;
};

/// Elements that one thread block takes.
inline constexpr std::int64_t kDeviceBlock = 65536;

struct DeviceBlock {
  std::int64_t begin = 0;
  std::int32_t piece = 0, length = 0;
};

/// Memory of one step on the device. `partial`: one DeviceOutcome per block.
struct DeviceMemory {
  const DeviceRules* rules = nullptr;
  const DevicePiece* pieces = nullptr;
  const DeviceBlock* blocks = nullptr;
  const std::int32_t* first_block = nullptr;  // of each piece, and one past the last: count + 1
  DeviceOutcome* partial = nullptr;
  DeviceOutcome* outcomes = nullptr;
  DeviceReport* report = nullptr;
  std::int32_t count = 0, block_count = 0;
};

/// Enqueues one update on the current stream of device `index` and returns at once. `rules` is the
/// host's copy and decides only which kernels are launched: kinds of method, never numbers, so a
/// captured graph can be replayed after the memory behind `memory` was refilled.
void launch_device_step(const DeviceRules& rules, const DeviceMemory& memory, int index);

/// One tensor of two halves of a gradient on a device; both of type `grad`.
struct DeviceHalfPiece {
  const void* a = nullptr;
  const void* b = nullptr;
  void* mean = nullptr;  // null: not written; may be a; of type `grad`
  std::int64_t elements = 0;
  GradType grad = GradType::kFloat32;
};

/// Products and square of the mean: 4 numbers per block in `partial`, 4 per tensor in `sums`.
struct DeviceHalfMemory {
  const DeviceHalfPiece* pieces = nullptr;
  const DeviceBlock* blocks = nullptr;
  const std::int32_t* first_block = nullptr;
  double* partial = nullptr;
  double* sums = nullptr;
  std::int32_t count = 0, block_count = 0;
  double weight = 0;  // of b in the mean
};

void launch_device_halves(const DeviceHalfMemory& memory, int index);

}  // namespace batchscope::optim::kernels
