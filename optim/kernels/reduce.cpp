#include "optim/kernels/reduce.h"

#include "optim/kernels/memory_order.h"
#include "optim/kernels/multi_tensor.h"

namespace batchscope::optim {

std::vector<double> square_sums(const torch::Tensor& flat, std::span<const std::int64_t> sizes) {
  if (!flat.is_cpu()) {
    std::vector<double> values;
    for (const torch::Tensor& piece :
         flat.split_with_sizes(at::IntArrayRef(sizes.data(), sizes.size()))) {
      const auto norm = piece.norm(2, torch::kDouble).item<double>();
      values.push_back(norm * norm);
    }
    return values;
  }
  std::vector<kernels::Piece> pieces;
  std::int64_t begin = 0;
  for (const std::int64_t size : sizes) {
    kernels::Piece piece;
    piece.g = flat.narrow(0, begin, size).data_ptr();
    piece.elements = size;
    pieces.push_back(piece);
    begin += size;
  }
  std::vector<kernels::Sums> sums(pieces.size());
  kernels::measure(kernels::dtype_of(flat), pieces, /*weights=*/false, sums);
  std::vector<double> values;
  values.reserve(sums.size());
  for (const kernels::Sums& s : sums) {
    values.push_back(s.g);
  }
  return values;
}

}  // namespace batchscope::optim
