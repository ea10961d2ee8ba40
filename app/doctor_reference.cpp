#include "app/doctor_reference.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace batchscope {
namespace {

using optim::Method;

double norm(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) {
    sum += value * value;
  }
  return std::sqrt(sum);
}

}  // namespace

PlainOptimizer::PlainOptimizer(const optim::Options& options, std::vector<PlainTensor> tensors)
    : options_(options), tensors_(std::move(tensors)) {
  for (PlainTensor& t : tensors_) {
    t.m.assign(t.w.size(), 0.0);
    t.v.assign(t.w.size(), 0.0);
  }
}

void PlainOptimizer::step(const std::vector<std::vector<double>>& grads, double lr) {
  double square = 0;
  for (const auto& g : grads) {
    square += norm(g) * norm(g);
  }
  double clip = 1;
  if (options_.clip_norm > 0) {
    clip = options_.clip_form == optim::ClipForm::kTorch
               ? std::min(1.0, options_.clip_norm / (std::sqrt(square) + 1e-6))
               : 1 / std::max(1.0, std::sqrt(square) / options_.clip_norm);
  }
  const double old1 = mass1_, old2 = mass2_;
  for (std::size_t k = 0; k < grads.size(); ++k) {
    std::vector<double> g = grads[k];
    for (double& x : g) {
      x *= clip;
    }
    mass1_ = old1;
    mass2_ = old2;
    const bool plain = options_.method == Method::kSgd || options_.method == Method::kLars;
    plain ? momentum(tensors_[k], g, lr) : adaptive(tensors_[k], g, lr);
  }
  ++updates_;
}

void PlainOptimizer::momentum(PlainTensor& t, const std::vector<double>& g, double lr) const {
  const bool lars = options_.method == Method::kLars;
  const bool excluded = lars && options_.exclude_1d && !t.matrix;
  const double decay = excluded ? 0 : options_.weight_decay, q = options_.momentum;
  double ratio = 1;
  if (lars && !excluded && norm(t.w) > 0 && norm(g) > 0) {
    ratio = options_.trust_coefficient * norm(t.w) /
            (norm(g) + options_.weight_decay * norm(t.w) + options_.eps);
  }
  const double in_buffer = options_.lars_pre && lars ? lr : 1, outside = lr / in_buffer;
  for (std::size_t i = 0; i < g.size(); ++i) {
    const double d = in_buffer * ratio * (g[i] + decay * t.w[i]);
    t.m[i] = updates_ == 0 ? d : q * t.m[i] + (1 - options_.dampening) * d;
    t.w[i] -= outside * (options_.nesterov ? d + q * t.m[i] : t.m[i]);
  }
}

void PlainOptimizer::adaptive(PlainTensor& t, const std::vector<double>& g, double lr) {
  const bool adapts = options_.method != Method::kAdamW;
  const bool excluded = adapts && options_.exclude_1d && !t.matrix;
  const double decay = excluded ? 0 : options_.weight_decay;
  const double b1 = options_.beta1, b2 = options_.beta2;
  double c = 1;
  if (options_.method == Method::kPmdLamb) {
    const auto k = static_cast<double>(updates_ % options_.pmd_period);
    c = 0.5 * (1 + std::cos(std::numbers::pi * k / static_cast<double>(options_.pmd_period)));
  }
  const bool beta_scale = options_.pmd_variant == optim::PmdVariant::kBetaScale;
  const bool readout =
      options_.method == Method::kPmdLamb && options_.pmd_variant == optim::PmdVariant::kReadout;
  const double gain1 = beta_scale ? 1 - c * b1 : 1 - b1, gain2 = beta_scale ? 1 - c * b2 : 1 - b2;
  const double read1 = c * b1 * mass1_ + gain1, read2 = c * b2 * mass2_ + gain2;
  std::vector<double> u;
  for (std::size_t i = 0; i < g.size(); ++i) {
    const double m = c * b1 * t.m[i] + gain1 * g[i], v = c * b2 * t.v[i] + gain2 * g[i] * g[i];
    u.push_back(m / read1 / (std::sqrt(v / read2) + options_.eps) + decay * t.w[i]);
    t.m[i] = readout ? b1 * t.m[i] + (1 - b1) * g[i] : m;
    t.v[i] = readout ? b2 * t.v[i] + (1 - b2) * g[i] * g[i] : v;
  }
  mass1_ = readout ? b1 * mass1_ + 1 - b1 : read1;
  mass2_ = readout ? b2 * mass2_ + 1 - b2 : read2;
  double trust = 1;
  if (adapts && !excluded && options_.weight_decay != 0 && norm(t.w) > 0 && norm(u) > 0) {
    trust = norm(t.w) / norm(u);
    trust =
        options_.trust_clamp ? std::clamp(trust, options_.trust_min, options_.trust_max) : trust;
  }
  for (std::size_t i = 0; i < u.size(); ++i) {
    t.w[i] -= lr * trust * u[i];
  }
}

}  // namespace batchscope
