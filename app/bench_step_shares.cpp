#include "app/bench_step_shares.h"

#include "app/bench_timing.h"
#include "optim/half_dots.h"

#include <torch/utils.h>

#include <algorithm>
#include <memory>

namespace batchscope {
namespace {

constexpr double kShareLr = 1e-12;

std::vector<torch::Tensor> copies(const std::vector<torch::Tensor>& list) {
  std::vector<torch::Tensor> out;
  out.reserve(list.size());
  for (const torch::Tensor& x : list) {
    out.push_back(x.clone());
  }
  return out;
}

}  // namespace

StepShares measure_shares(const std::vector<optim::Parameter>& parameters,
                          const std::vector<torch::Tensor>& gradients,
                          int pairs) {
  const torch::NoGradGuard no_grad;
  std::int64_t modules = 0;
  for (const optim::Parameter& p : parameters) {
    modules = std::max(modules, p.module + 1);
  }
  const std::vector<double> mu(static_cast<std::size_t>(modules), 1.0);
  const auto optimizer =
      optim::make_optimizer({.method = optim::Method::kSgd}, parameters, modules);
  std::vector<torch::Tensor> half = copies(gradients), other = copies(gradients);
  const auto update = [&](bool norms) {
    optimizer->set_diagnostics(norms);
    return milliseconds([&] { optimizer->step(half, kShareLr, mu); });
  };
  std::vector<double> plain, norms, agvm;
  for (int pair = -1; pair < pairs; ++pair) {
    const double without = update(false), with = update(true);
    const double products = milliseconds([&] { optim::halves_mean(half, other, 0.5, true); });
    if (pair >= 0) {  // the first one touches memory for the first time
      plain.push_back(without);
      norms.push_back(with - without);
      agvm.push_back(products);
    }
  }
  return {median(plain), median(norms), median(agvm)};
}

}  // namespace batchscope
