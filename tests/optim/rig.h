#pragma once

#include "optim/optimizer.h"

#include <torch/types.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

/// What the tests of the optimizers share.
namespace rig {

using batchscope::optim::make_optimizer;
using batchscope::optim::Method;
using batchscope::optim::Optimizer;
using batchscope::optim::Options;
using batchscope::optim::Parameter;
using batchscope::optim::StepReport;

/// |x - golden| within what a table of 8 decimals allows.
inline bool near(double x, double golden, torch::ScalarType dtype) {
  const bool wide = dtype == torch::kDouble;
  const double absolute = wide ? 5e-9 : 1e-6, relative = wide ? 1e-7 : 1e-5;
  return std::abs(x - golden) <= absolute + relative * std::abs(golden);
}

inline std::vector<double> numbers(const torch::Tensor& x) {
  const torch::Tensor flat = x.detach().to(torch::kDouble).reshape({-1}).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

inline bool same_bits(const torch::Tensor& a, const torch::Tensor& b) {
  const torch::Tensor x = a.detach().contiguous(), y = b.detach().contiguous();
  return x.sizes() == y.sizes() && x.scalar_type() == y.scalar_type() &&
         (x.numel() == 0 || std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0);
}

using Saved = std::vector<std::pair<std::string, torch::Tensor>>;

inline bool same_bits(const Saved& a, const Saved& b) {
  bool same = a.size() == b.size();
  for (std::size_t i = 0; same && i < a.size(); ++i) {
    same = a[i].first == b[i].first && same_bits(a[i].second, b[i].second);
  }
  return same;
}

inline double scalar(const Saved& state, const std::string& name) {
  for (const auto& [key, value] : state) {
    if (key == name) {
      return value.item<double>();
    }
  }
  return std::nan("");
}

/// Tensors and an optimizer over them, one module per tensor unless said.
struct Rig {
  std::vector<Parameter> parameters;
  std::int64_t modules = 0;
  std::unique_ptr<Optimizer> optimizer;

  void add(const std::string& name, const torch::Tensor& w, std::int64_t module) {
    parameters.push_back({name, module, w.clone().set_requires_grad(true)});
    modules = std::max(modules, module + 1);
  }
  void make(const Options& options) { optimizer = make_optimizer(options, parameters, modules); }
  /// A step on copies of the gradients, since it uses them up.
  StepReport step(std::vector<torch::Tensor> grads, double lr) {
    for (torch::Tensor& g : grads) {
      g = g.defined() ? g.clone() : g;
    }
    return optimizer->step(grads, lr, std::vector<double>(static_cast<std::size_t>(modules), 1.0));
  }
  std::vector<torch::Tensor> weights() const {
    std::vector<torch::Tensor> w;
    for (const Parameter& p : parameters) {
      w.push_back(p.tensor.detach().clone());
    }
    return w;
  }
  void set_weights(const std::vector<torch::Tensor>& w) {
    for (std::size_t i = 0; i < w.size(); ++i) {
      parameters[i].tensor.detach().copy_(w[i]);
    }
  }
  double weight(std::size_t tensor, std::int64_t element) const {
    return parameters[tensor].tensor.detach().reshape({-1})[element].item<double>();
  }
};

/// Fixture F of algorithms.md: tensor A of two elements, tensor B of one. With `rows`, A has two
/// dimensions and B one, so that exclude_1d leaves out B alone.
inline Rig fixture_f(torch::ScalarType dtype, bool rows = false) {
  Rig f;
  const torch::Tensor a = torch::tensor({1.0, -2.0}, dtype);
  f.add("A", rows ? a.reshape({1, 2}) : a, 0);
  f.add("B", torch::tensor({0.5}, dtype), 1);
  return f;
}

/// Gradients of fixture F at step t = 1, 2, 3.
inline std::vector<torch::Tensor> gradients_f(const Rig& f, int t) {
  static const double kA[3][2] = {{0.1, -0.2}, {0.05, 0.1}, {-0.3, 0.02}};
  static const double kB[3] = {0.3, -0.2, 0.0};
  const torch::Tensor& a = f.parameters[0].tensor;
  return {torch::tensor({kA[t - 1][0], kA[t - 1][1]}, a.scalar_type()).reshape(a.sizes()),
          torch::tensor({kB[t - 1]}, a.scalar_type())};
}

/// The integer generator of make_optim_fixtures.py.
class Numbers {
 public:
  explicit Numbers(std::int64_t seed) : x_(seed) {}
  double next() {
    x_ = (1103515245 * x_ + 12345) % 2147483648LL;
    return static_cast<double>(x_) / 2147483648.0 - 0.5;
  }
  torch::Tensor tensor(at::IntArrayRef shape, double scale, torch::ScalarType dtype) {
    torch::Tensor t = torch::empty(shape, torch::kDouble);
    for (std::int64_t i = 0; i < t.numel(); ++i) {
      t.data_ptr<double>()[i] = scale * next();
    }
    return t.to(dtype);
  }

 private:
  std::int64_t x_;
};

/// The tensors and gradients of make_optim_fixtures.py.
struct Stream {
  Numbers numbers;
  torch::ScalarType dtype;
  Stream(std::int64_t seed, torch::ScalarType type) : numbers(seed), dtype(type) {}

  static const std::vector<std::vector<std::int64_t>>& shapes() {
    static const std::vector<std::vector<std::int64_t>> kShapes = {
        {4, 3, 3, 3}, {4}, {5, 7}, {5}, {1}};
    return kShapes;
  }
  std::vector<torch::Tensor> tensors(double scale) {
    std::vector<torch::Tensor> list;
    for (const auto& shape : shapes()) {
      list.push_back(numbers.tensor(shape, scale, dtype));
    }
    return list;
  }
  Rig rig() {
    static const char* const kNames[] = {
        "conv.weight", "conv.bias", "fc.weight", "fc.bias", "gain"};
    static const std::int64_t kModules[] = {0, 0, 1, 1, 1};
    Rig r;
    const auto w = tensors(1.0);
    for (std::size_t i = 0; i < w.size(); ++i) {
      r.add(kNames[i], w[i], kModules[i]);
    }
    return r;
  }
  /// A tensor without gradient is zero or undefined, which must be the same.
  std::vector<torch::Tensor> gradients(int step) {
    auto g = tensors(std::pow(2.0, step % 5 - 3));
    if (step % 7 == 0) {
      g[2].zero_();
    }
    if (step % 11 == 0) {
      g[0] = torch::Tensor();
    }
    if (step <= 3) {
      g[4].zero_();
    }
    return g;
  }
};

inline double rate(double lr, int step) {
  return step % 3 != 0 ? lr : lr * 0.5;
}

}  // namespace rig
