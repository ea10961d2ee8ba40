#include "optim/kernels/reduce.h"

#include <ATen/Parallel.h>

#include <algorithm>

namespace batchscope::optim {

namespace {

constexpr std::int64_t kBlock = 32768;

/// Eight partial sums break the dependency of one addition on the last.
template <typename T>
double dot_block(const T* a, const T* b, std::int64_t n) {
  double part[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int j = 0; j < 8; ++j) {
      part[j] += static_cast<double>(a[i + j]) * static_cast<double>(b[i + j]);
    }
  }
  double sum = 0;
  for (; i < n; ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  for (const double p : part) {
    sum += p;
  }
  return sum;
}

struct Block {
  std::int64_t piece = 0, begin = 0, length = 0;
};

std::vector<Block> blocks_of(std::span<const std::int64_t> sizes) {
  std::vector<Block> blocks;
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    for (std::int64_t done = 0; done < sizes[i]; done += kBlock) {
      blocks.push_back(
          {static_cast<std::int64_t>(i), begin + done, std::min(kBlock, sizes[i] - done)});
    }
    begin += sizes[i];
  }
  return blocks;
}

template <typename T>
std::vector<double> dots_cpu(const T* a, const T* b, std::span<const std::int64_t> sizes) {
  const std::vector<Block> blocks = blocks_of(sizes);
  std::vector<double> partial(blocks.size());
  // Below eight blocks the hand-over to other threads costs more than the sums.
  at::parallel_for(
      0, static_cast<std::int64_t>(blocks.size()), 8, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t i = from; i < to; ++i) {
          const Block& block = blocks[static_cast<std::size_t>(i)];
          partial[static_cast<std::size_t>(i)] =
              dot_block(a + block.begin, b + block.begin, block.length);
        }
      });
  std::vector<double> sums(sizes.size(), 0.0);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    sums[static_cast<std::size_t>(blocks[i].piece)] += partial[i];
  }
  return sums;
}

std::vector<double> dots_flat(const torch::Tensor& a,
                              const torch::Tensor& b,
                              std::span<const std::int64_t> sizes) {
  if (a.scalar_type() == torch::kDouble) {
    return dots_cpu(a.const_data_ptr<double>(), b.const_data_ptr<double>(), sizes);
  }
  return dots_cpu(a.const_data_ptr<float>(), b.const_data_ptr<float>(), sizes);
}

std::vector<double> to_host(const torch::Tensor& values) {
  const torch::Tensor host = values.to(torch::kCPU, torch::kDouble).contiguous();
  const auto* data = host.const_data_ptr<double>();
  return {data, data + host.numel()};
}

}  // namespace

std::vector<double> square_sums(const torch::Tensor& flat, std::span<const std::int64_t> sizes) {
  if (flat.is_cpu()) {
    return dots_flat(flat, flat, sizes);
  }
  const std::vector<torch::Tensor> pieces =
      flat.split_with_sizes(at::IntArrayRef(sizes.data(), sizes.size()));
  return to_host(torch::stack(at::_foreach_norm(pieces, 2, torch::kDouble)).square_());
}

std::array<double, 3> three_dots(const torch::Tensor& a, const torch::Tensor& b) {
  TORCH_CHECK_VALUE(a.numel() == b.numel() && a.scalar_type() == b.scalar_type(),
                    "optim: the halves of a gradient must have one shape and dtype, found ",
                    a.sizes(),
                    " ",
                    a.scalar_type(),
                    " and ",
                    b.sizes(),
                    " ",
                    b.scalar_type());
  const torch::Tensor x = a.reshape({-1}).contiguous(), y = b.reshape({-1}).contiguous();
  const bool native = x.scalar_type() == torch::kDouble || x.scalar_type() == torch::kFloat;
  if (x.is_cpu() && native) {
    const std::array<std::int64_t, 1> size = {x.numel()};
    return {dots_flat(x, y, size)[0], dots_flat(x, x, size)[0], dots_flat(y, y, size)[0]};
  }
  const torch::Tensor p = x.to(torch::kDouble), q = y.to(torch::kDouble);
  const std::vector<double> dots =
      to_host(torch::stack({torch::dot(p, q), torch::dot(p, p), torch::dot(q, q)}));
  return {dots[0], dots[1], dots[2]};
}

}  // namespace batchscope::optim
