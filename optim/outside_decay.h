#pragma once

#include "optim/flat_optimizer.h"

#include <torch/types.h>

#include <vector>

namespace batchscope::optim {

/// Weight decay that is no part of the LAMB family's direction (algorithms.md 5.3): in the gradient
/// (kL2), or a shrinking of the weights before the update (kDecoupled). Tensors that are skipped
/// keep their bits.
class OutsideDecay {
 public:
  /// Changes gradients or weights before the kernels see them; those of a dry update are copies.
  /// decay: lambda per tensor; options: dtype and device of the memory.
  OutsideDecay(LambDecay form,
               const std::vector<double>& decay,
               const torch::TensorOptions& options,
               Update& update);
  /// After the kernels: what a dry update leaves in g becomes the whole change.
  void finish(Update& update);

 private:
  torch::Tensor memory(void* begin, const kernels::Piece& piece) const;

  struct Shrunk {
    std::size_t k = 0;
    double part = 0;  // of the weights that decay takes
    void* weights = nullptr;
    torch::Tensor copy;
  };
  torch::TensorOptions options_;
  std::vector<Shrunk> dry_;
};

}  // namespace batchscope::optim
