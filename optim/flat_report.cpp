#include "optim/flat_optimizer.h"

#include <algorithm>
#include <cmath>

namespace batchscope::optim {

std::vector<double> FlatOptimizer::per_module(
    const std::function<double(std::size_t)>& square) const {
  std::vector<double> sums(static_cast<std::size_t>(modules_), 0.0);
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    sums[layout_.module(k)] += square(k);
  }
  std::ranges::transform(sums, sums.begin(), [](double x) { return std::sqrt(x); });
  return sums;
}

std::vector<double> FlatOptimizer::gradient_norms(const Update& update) const {
  return per_module([&](std::size_t k) { return update.sums[k].g; });
}

void FlatOptimizer::report_trust(StepReport& report,
                                 const Direction& d,
                                 double lr,
                                 const std::vector<double>& mu) const {
  const auto modules = static_cast<std::size_t>(modules_);
  std::vector<double> sum(modules, 0.0), weight(modules, 0.0);
  report.tensor_trust.assign(layout_.count(), 1.0);
  report.module_clamped.assign(modules, 0.0);
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    const auto m = layout_.module(k);
    report.module_clamped[m] += d.clamped[k] ? 1 : 0;
    if (d.adapted[k]) {
      report.tensor_trust[layout_.parameter(k)] = d.trust[k];
      sum[m] += d.trust[k] * static_cast<double>(layout_.size(k));
      weight[m] += static_cast<double>(layout_.size(k));
    }
  }
  for (std::size_t m = 0; m < modules; ++m) {
    report.module_trust.push_back(weight[m] > 0 ? sum[m] / weight[m] : 1.0);
    report.module_lr.push_back(lr * mu[m] * report.module_trust[m]);
  }
}

void FlatOptimizer::report_step(StepReport& report,
                                const Update& update,
                                const Direction& d,
                                double lr,
                                const std::vector<double>& mu) const {
  report.pmd_c = d.pmd_c;
  report.beta1_eff = d.beta1;
  report.beta2_eff = d.beta2;
  report.n_eff_m = d.n_eff_m;
  report.n_eff_v = d.n_eff_v;
  report_trust(report, d, lr, mu);
  if (!diagnostics_) {
    return;
  }
  const auto& sums = update.sums;
  const auto over = [](double square, double mass) {
    return mass > 0 ? square / (mass * mass) : 0.0;
  };
  report.module_weight_norm = per_module([&](std::size_t k) { return sums[k].w; });
  report.module_update_norm = per_module([&](std::size_t k) {
    const double factor = update.pieces[k].factor;
    return sums[k].u * factor * factor;
  });
  report.module_m_norm = per_module([&](std::size_t k) { return over(sums[k].m, state_.mass1); });
  report.module_v_norm = per_module([&](std::size_t k) { return over(sums[k].v, state_.mass2); });
  const auto ordered = [&](const auto& value) {
    std::vector<double> out(layout_.count());
    for (std::size_t k = 0; k < layout_.count(); ++k) {
      out[layout_.parameter(k)] = value(k);
    }
    return out;
  };
  report.tensors = {ordered([&](std::size_t k) { return update.grad_norm(k); }),
                    ordered([&](std::size_t k) { return std::sqrt(sums[k].w); }),
                    ordered([&](std::size_t k) {
                      return std::sqrt(sums[k].u) * std::abs(update.pieces[k].factor);
                    })};
}

}  // namespace batchscope::optim
