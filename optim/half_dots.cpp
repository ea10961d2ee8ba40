#include "optim/half_dots.h"

#include "optim/device_pass.h"
#include "optim/kernels/memory_order.h"
#include "optim/kernels/multi_tensor.h"

#include <torch/utils.h>

#include <stdexcept>
#include <string>

namespace batchscope::optim {

namespace {

void require_halves(bool ok, const std::string& what) {
  if (!ok) {
    throw std::invalid_argument("gradient halves: " + what);
  }
}

/// Both halves of one tensor as the kernels read them; undefined where neither is defined.
struct Pair {
  torch::Tensor a, b;
};

torch::Tensor readable(const torch::Tensor& x) {
  if (kernels::native(x) || x.is_cuda()) {
    return x.detach();
  }
  const bool wide = x.scalar_type() == torch::kDouble;
  return x.detach().to(torch::kCPU, wide ? torch::kDouble : torch::kFloat);
}

std::vector<Pair> pairs_of(const std::vector<torch::Tensor>& g1,
                           const std::vector<torch::Tensor>& g2) {
  require_halves(g1.size() == g2.size(),
                 "expected lists of one length, found " + std::to_string(g1.size()) + " and " +
                     std::to_string(g2.size()));
  std::vector<Pair> pairs(g1.size());
  for (std::size_t i = 0; i < g1.size(); ++i) {
    const torch::Tensor& a = g1[i].defined() ? g1[i] : g2[i];
    if (!a.defined()) {
      continue;
    }
    const torch::Tensor& b = g2[i].defined() ? g2[i] : a;
    require_halves(a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type(),
                   c10::str("expected one shape and dtype, found ",
                            a.sizes(),
                            " ",
                            a.scalar_type(),
                            " and ",
                            b.sizes(),
                            " ",
                            b.scalar_type()));
    Pair& pair = pairs[i];
    pair.a = g1[i].defined() ? readable(a) : torch::zeros_like(readable(b));
    pair.b = g2[i].defined() ? readable(b) : torch::zeros_like(pair.a);
    if (!kernels::same_order(pair.a, pair.b)) {
      pair.a = pair.a.contiguous();
      pair.b = pair.b.contiguous();
    }
  }
  return pairs;
}

/// The pass over the pairs that lie on a CUDA device.
void run_on_device(const std::vector<Pair>& pairs,
                   const std::vector<torch::Tensor>* mean,
                   double weight,
                   std::vector<kernels::HalfSums>& result) {
  std::vector<std::size_t> index;
  std::vector<torch::Tensor> a, b, to;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i].a.defined() && pairs[i].a.is_cuda()) {
      index.push_back(i);
      a.push_back(pairs[i].a);
      b.push_back(pairs[i].b);
      to.push_back(mean == nullptr ? torch::Tensor() : (*mean)[i]);
    }
  }
  const std::vector<double> sums = device_halves(a, b, to, weight);
  for (std::size_t j = 0; j < index.size(); ++j) {
    result[index[j]] = {sums[4 * j], sums[4 * j + 1], sums[4 * j + 2], sums[4 * j + 3]};
  }
}

/// Runs the pass over the pairs of each dtype: pieces and where their sums go.
std::vector<kernels::HalfSums> run(const std::vector<Pair>& pairs,
                                   const std::vector<torch::Tensor>* mean,
                                   double weight) {
  std::vector<kernels::HalfSums> result(pairs.size());
  for (const auto dtype : {kernels::Dtype::kFloat32, kernels::Dtype::kFloat64}) {
    std::vector<kernels::HalfPiece> pieces;
    std::vector<std::size_t> index;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const Pair& p = pairs[i];
      if (!p.a.defined() || !p.a.is_cpu() || kernels::dtype_of(p.a) != dtype) {
        continue;
      }
      index.push_back(i);
      pieces.push_back({.a = p.a.const_data_ptr(),
                        .b = p.b.const_data_ptr(),
                        .mean = mean == nullptr ? nullptr : (*mean)[i].mutable_data_ptr(),
                        .elements = p.a.numel()});
    }
    std::vector<kernels::HalfSums> sums(pieces.size());
    kernels::half_products(dtype, pieces, weight, sums);
    for (std::size_t j = 0; j < index.size(); ++j) {
      result[index[j]] = sums[j];
    }
  }
  run_on_device(pairs, mean, weight, result);
  return result;
}

}  // namespace

std::vector<HalfDots> tensor_dots(const std::vector<torch::Tensor>& g1,
                                  const std::vector<torch::Tensor>& g2) {
  std::vector<HalfDots> dots;
  for (const kernels::HalfSums& s : run(pairs_of(g1, g2), nullptr, 0)) {
    dots.push_back({s.d12, s.d11, s.d22});
  }
  return dots;
}

HalfMean halves_mean(const std::vector<torch::Tensor>& g1,
                     const std::vector<torch::Tensor>& g2,
                     double weight2,
                     bool in_place) {
  const torch::NoGradGuard no_grad;
  const std::vector<Pair> pairs = pairs_of(g1, g2);
  std::vector<torch::Tensor> memory(pairs.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i].a.defined()) {
      memory[i] = in_place ? pairs[i].a : torch::empty_like(pairs[i].a);
    }
  }
  HalfMean out;
  for (const kernels::HalfSums& s : run(pairs, &memory, weight2)) {
    out.dots.push_back({s.d12, s.d11, s.d22});
    out.squares.push_back(s.mean);
  }
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const torch::Tensor& like = g1[i].defined() ? g1[i] : g2[i];
    out.mean.push_back(like.defined() ? memory[i].to(like.options().requires_grad(false))
                                      : torch::Tensor());
  }
  return out;
}

std::vector<HalfDots> dots_by_module(const std::vector<HalfDots>& dots,
                                     const std::vector<std::int64_t>& module,
                                     std::int64_t modules) {
  require_halves(dots.size() == module.size(),
                 "expected " + std::to_string(dots.size()) + " modules, found " +
                     std::to_string(module.size()));
  std::vector<HalfDots> sums(static_cast<std::size_t>(modules));
  for (std::size_t i = 0; i < dots.size(); ++i) {
    require_halves(
        module[i] >= 0 && module[i] < modules,
        "module " + std::to_string(module[i]) + " is not in [0, " + std::to_string(modules) + ")");
    HalfDots& sum = sums[static_cast<std::size_t>(module[i])];
    sum.d12 += dots[i].d12;
    sum.d11 += dots[i].d11;
    sum.d22 += dots[i].d22;
  }
  return sums;
}

std::vector<HalfDots> half_dots(const std::vector<torch::Tensor>& g1,
                                const std::vector<torch::Tensor>& g2,
                                const std::vector<std::int64_t>& module,
                                std::int64_t modules) {
  return dots_by_module(tensor_dots(g1, g2), module, modules);
}

}  // namespace batchscope::optim
