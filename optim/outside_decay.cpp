#include "optim/outside_decay.h"

namespace batchscope::optim {

OutsideDecay::OutsideDecay(LambDecay form,
                           const std::vector<double>& decay,
                           const torch::TensorOptions& options,
                           Update& update)
    : options_(options) {
  for (std::size_t k = 0; k < update.pieces.size(); ++k) {
    kernels::Piece& piece = update.pieces[k];
    if (form == LambDecay::kInside || decay[k] == 0 || piece.factor == 0 || piece.elements == 0) {
      continue;
    }
    const torch::Tensor w = memory(piece.w, piece);
    if (form == LambDecay::kL2) {
      // The kernel multiplies by the clip factor, which is not for the decay.
      memory(piece.g, piece).add_(w, decay[k] / update.clip);
      continue;
    }
    const double part = update.rate[k] * decay[k];
    if (update.dry) {
      dry_.push_back({k, part, piece.w, w * (1 - part)});
      piece.w = dry_.back().copy.mutable_data_ptr();
    } else {
      torch::Tensor(w).mul_(1 - part);
    }
  }
}

void OutsideDecay::finish(Update& update) {
  for (const Shrunk& shrunk : dry_) {
    kernels::Piece& piece = update.pieces[shrunk.k];
    piece.w = shrunk.weights;
    memory(piece.g, piece).add_(memory(piece.w, piece), -shrunk.part / piece.factor);
  }
}

torch::Tensor OutsideDecay::memory(void* begin, const kernels::Piece& piece) const {
  return torch::from_blob(begin, {piece.elements}, options_);
}

}  // namespace batchscope::optim
