#include "app/doctor.h"

#include "app/doctor_reference.h"
#include "optim/half_dots.h"
#include "optim/kernels/streams.h"
#include "optim/optimizer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>

namespace batchscope {
namespace {

using optim::Method;
using optim::Options;

struct Case {
  std::string name;
  Options options;
  double bytes = 0;  // per element of float32, the pass of the guard among them
};

std::vector<Case> cases() {
  const auto make = [](const char* name, Method method, double bytes) {
    Case c{name, {}, bytes};
    c.options.method = method;
    c.options.eps = 1e-6;
    c.options.weight_decay = 0.01;
    c.options.clip_norm = 50;
    c.options.pmd_period = 4;
    return c;
  };
  std::vector<Case> list = {make("sgd", Method::kSgd, 24),
                            make("sgd nesterov", Method::kSgd, 24),
                            make("adamw", Method::kAdamW, 32),
                            make("lars", Method::kLars, 28),
                            make("lars pre", Method::kLars, 28),
                            make("lamb", Method::kLamb, 44),
                            make("pmd_lamb moment_scale", Method::kPmdLamb, 44),
                            make("pmd_lamb beta_scale", Method::kPmdLamb, 44),
                            make("pmd_lamb readout", Method::kPmdLamb, 44)};
  list[1].options.nesterov = true;
  list[4].options.lars_pre = true;
  list[7].options.pmd_variant = optim::PmdVariant::kBetaScale;
  list[8].options.pmd_variant = optim::PmdVariant::kReadout;
  return list;
}

std::vector<std::vector<std::int64_t>> shapes(std::int64_t large) {
  return {{0, 3}, {1, 1}, {7}, {1, 7}, {31, 33}, {5, 205}, {127, 129}, {1025}, {3, large / 3}};
}

class Numbers {
 public:
  torch::Tensor tensor(const std::vector<std::int64_t>& shape, double scale) {
    return torch::empty(shape, torch::kDouble).normal_(0, scale, generator_);
  }

 private:
  torch::Generator generator_ = at::detail::createCPUGenerator(7);
};

std::vector<double> plain(const torch::Tensor& x) {
  const torch::Tensor flat = x.detach().to(torch::kCPU, torch::kDouble).reshape({-1}).contiguous();
  const auto* data = flat.const_data_ptr<double>();
  return {data, data + flat.numel()};
}

double gap(const std::vector<double>& x, const std::vector<double>& reference) {
  double difference = 0, largest = std::numeric_limits<double>::min();
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = std::abs(x[i] - reference[i]);
    difference = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(difference, d);
    largest = std::max(largest, std::abs(reference[i]));
  }
  return difference / largest;
}

/// Seconds of the fastest of some calls; each leaves the device idle.
double fastest(const std::function<void()>& f) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 6; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

/// An optimizer under examination beside its reference.
struct Patient {
  std::vector<optim::Parameter> parameters;
  std::unique_ptr<optim::Optimizer> optimizer;
  std::vector<std::vector<std::int64_t>> shape;
  torch::TensorOptions options;

  std::vector<torch::Tensor> grads(Numbers& numbers) const {
    std::vector<torch::Tensor> list;
    for (const auto& s : shape) {
      list.push_back(numbers.tensor(s, 0.1).to(options));
    }
    return list;
  }
};

constexpr double kRate = 0.01;

Finding examine_optimizer(const Case& c,
                          const torch::Device& device,
                          torch::ScalarType dtype,
                          std::int64_t large) {
  Numbers numbers;
  Patient p;
  p.shape = shapes(large);
  p.options = torch::TensorOptions().dtype(dtype).device(device);
  std::vector<PlainTensor> reference;
  for (std::size_t i = 0; i < p.shape.size(); ++i) {
    const torch::Tensor w = numbers.tensor(p.shape[i], 1.0).to(p.options);
    p.parameters.push_back({"t" + std::to_string(i), 0, w});
    reference.push_back({p.shape[i].size() > 1, plain(w), {}, {}});
  }
  p.optimizer = optim::make_optimizer(c.options, p.parameters, 1);
  PlainOptimizer plain_optimizer(c.options, reference);
  for (int t = 0; t < 3; ++t) {
    std::vector<torch::Tensor> g = p.grads(numbers);
    std::vector<std::vector<double>> g64;
    g64.reserve(g.size());
    for (const torch::Tensor& x : g) {
      g64.push_back(plain(x));
    }
    plain_optimizer.step(g64, kRate);
    p.optimizer->step(g, kRate, {1.0});
  }
  Finding f{c.name, c10::toString(dtype)};
  for (std::size_t i = 0; i < p.shape.size(); ++i) {
    f.error = std::max(f.error, gap(plain(p.parameters[i].tensor), plain_optimizer.tensors()[i].w));
  }
  f.bound = dtype == torch::kDouble ? 1e-12 : 5e-6;
  f.passed = f.error <= f.bound;
  if (dtype == torch::kFloat) {
    p.optimizer->set_diagnostics(false);
    std::vector<torch::Tensor> g = p.grads(numbers);
    double elements = 0;
    for (const torch::Tensor& x : g) {
      elements += static_cast<double>(x.numel());
    }
    f.gb_per_s = c.bytes * elements / 1e9 / fastest([&] { p.optimizer->step(g, 1e-9, {1.0}); });
  }
  return f;
}

/// A gradient with one NaN must leave weights and state as they are.
Finding examine_guard(const Case& c, const torch::Device& device) {
  Numbers numbers;
  const torch::TensorOptions options = torch::TensorOptions().dtype(torch::kFloat).device(device);
  const torch::Tensor w = numbers.tensor({301, 307}, 1.0).to(options);
  const auto optimizer = optim::make_optimizer(c.options, {{"w", 0, w}}, 1);
  std::vector<torch::Tensor> g = {numbers.tensor({301, 307}, 0.1).to(options)};
  optimizer->step(g, kRate, {1.0});
  const auto weights = plain(w);
  const auto before = optimizer->save();
  g[0] = numbers.tensor({301, 307}, 0.1).to(options);
  g[0].view({-1})[92000] = std::numeric_limits<float>::quiet_NaN();
  Finding f{"guard of " + c.name, "Float"};
  f.passed = !optimizer->step(g, kRate, {1.0}).applied && plain(w) == weights;
  const auto after = optimizer->save();
  for (std::size_t i = 0; i < before.size(); ++i) {
    f.passed = f.passed && torch::equal(before[i].second, after[i].second);
  }
  return f;
}

Finding examine_halves(const torch::Device& device, torch::ScalarType dtype, std::int64_t large) {
  Numbers numbers;
  std::vector<torch::Tensor> a, b;
  double elements = 0;
  for (const auto& s : shapes(large)) {
    a.push_back(numbers.tensor(s, 0.1).to(device, dtype));
    b.push_back(numbers.tensor(s, 0.1).to(device, dtype));
    elements += static_cast<double>(a.back().numel());
  }
  const optim::HalfMean out = optim::halves_mean(a, b, 0.5);
  Finding f{"agvm statistics and mean", c10::toString(dtype)};
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto x = plain(a[i]), y = plain(b[i]);
    double d12 = 0, d11 = 0, d22 = 0;
    std::vector<double> mean;
    for (std::size_t j = 0; j < x.size(); ++j) {
      d12 += x[j] * y[j];
      d11 += x[j] * x[j];
      d22 += y[j] * y[j];
      mean.push_back(0.5 * (x[j] + y[j]));
    }
    const double scale = std::max(std::sqrt(d11 * d22), std::numeric_limits<double>::min());
    const optim::HalfDots& dots = out.dots[i];
    f.error = std::max({f.error,
                        std::abs(dots.d12 - d12) / scale,
                        std::abs(dots.d11 - d11) / scale,
                        std::abs(dots.d22 - d22) / scale,
                        gap(plain(out.mean[i]), mean)});
  }
  f.bound = dtype == torch::kDouble ? 1e-12 : 1e-6;
  f.passed = f.error <= f.bound;
  if (dtype == torch::kFloat) {
    f.gb_per_s = 8 * elements / 1e9 / fastest([&] { optim::tensor_dots(a, b); });
  }
  return f;
}

/// Reads two arrays and writes one of them, in place.
Finding memory_speed(const torch::Device& device) {
  constexpr std::int64_t kElements = 32 << 20;
  const torch::Tensor a = torch::ones({kElements}, device), b = torch::ones({kElements}, device);
  const auto pass = [&] {
    if (a.is_cpu()) {
      optim::kernels::stream_12(a.const_data_ptr<float>(), b.mutable_data_ptr<float>(), kElements);
      return;
    }
    b.add_(a, 1e-9);
    b[0].item<float>();
  };
  pass();
  Finding f{"memory, two reads and a write", ""};
  f.gb_per_s = 12.0 * kElements / 1e9 / fastest(pass);
  f.passed = true;
  return f;
}

}  // namespace

std::vector<Finding> examine(const torch::Device& device, std::int64_t large) {
  std::vector<Finding> findings = {memory_speed(device)};
  for (const Case& c : cases()) {
    for (const auto dtype : {torch::kFloat, torch::kDouble}) {
      findings.push_back(examine_optimizer(
          c,
          device,
          dtype,
          dtype == torch::kFloat ? large : std::min<std::int64_t>(large, 100003)));
    }
    findings.push_back(examine_guard(c, device));
  }
  findings.push_back(examine_halves(device, torch::kFloat, large));
  findings.push_back(examine_halves(device, torch::kDouble, std::min<std::int64_t>(large, 100003)));
  return findings;
}

}  // namespace batchscope
