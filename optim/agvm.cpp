#include "optim/agvm.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace batchscope::optim {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kNormFloor = 1e-8;  // torch.cosine_similarity's eps
constexpr double kRatioEps = 1e-6;   // added to both noise fractions
constexpr double kNoiseEma = 0.9;    // weight of the old averages

void require_agvm(bool ok, const std::string& what) {
  if (!ok) {
    throw std::invalid_argument("agvm: " + what);
  }
}

void check(const AgvmOptions& o, std::int64_t modules) {
  require_agvm(modules > 0, "at least one module is needed, found " + std::to_string(modules));
  require_agvm(o.interval >= 1, "interval must be at least 1, found " + std::to_string(o.interval));
  require_agvm(o.alpha >= 0 && o.alpha < 1,
               "alpha must be in [0, 1), found " + std::to_string(o.alpha));
  require_agvm(o.anchor >= 0 && o.anchor < modules,
               "anchor must be a module in [0, " + std::to_string(modules) + "), found " +
                   std::to_string(o.anchor));
  require_agvm(o.clamp_low > 0 && o.clamp_low <= o.clamp_high,
               "clamp must be 0 < low <= high, found " + std::to_string(o.clamp_low) + " and " +
                   std::to_string(o.clamp_high));
  require_agvm(o.off_ramp >= 0,
               "off_ramp must not be negative, found " + std::to_string(o.off_ramp));
}

bool finite(const HalfDots& x) {
  return std::isfinite(x.d12) && std::isfinite(x.d11) && std::isfinite(x.d22);
}
bool dead(const HalfDots& x) {
  return x.d11 == 0 && x.d22 == 0;
}

torch::Tensor pack(const std::vector<double>& values) {
  return torch::tensor(values, torch::kDouble);
}

/// Copies the entry `name` into out; its length is part of what is checked.
void unpack(const std::vector<std::pair<std::string, torch::Tensor>>& state,
            const std::string& name,
            std::vector<double>& out) {
  const auto it = std::ranges::find_if(state, [&](const auto& e) { return e.first == name; });
  require_agvm(it != state.end(), "the state lacks \"" + name + "\"");
  const torch::Tensor values = it->second.to(torch::kCPU, torch::kDouble).contiguous();
  require_agvm(values.numel() == static_cast<std::int64_t>(out.size()),
               "\"" + name + "\" must have " + std::to_string(out.size()) + " values, found " +
                   std::to_string(values.numel()));
  std::copy_n(values.const_data_ptr<double>(), out.size(), out.begin());
}

}  // namespace

double noise_fraction(const HalfDots& dots) {
  if (!finite(dots)) {
    return kNan;
  }
  const double n1 = std::max(std::sqrt(dots.d11), kNormFloor);
  const double n2 = std::max(std::sqrt(dots.d22), kNormFloor);
  return 1 - dots.d12 / (n1 * n2);
}

std::vector<double> agvm_factors(std::span<const double> d,
                                 std::int64_t anchor,
                                 double low,
                                 double high) {
  require_agvm(anchor >= 0 && anchor < static_cast<std::int64_t>(d.size()),
               "anchor must be a module in [0, " + std::to_string(d.size()) + "), found " +
                   std::to_string(anchor));
  std::vector<double> s;
  s.reserve(d.size());
  const double top = d[static_cast<std::size_t>(anchor)] + kRatioEps;
  for (const double value : d) {
    s.push_back(std::sqrt(std::clamp(top / (value + kRatioEps), low, high)));
  }
  return s;
}

bool agvm_measures(const AgvmOptions& options, std::int64_t step) {
  return (options.enabled || options.observe) && step >= options.start && step <= options.stop &&
         (step - options.start) % options.interval == 0;
}

void Agvm::Noise::add(std::span<const HalfDots> dots, double n1, double n2) {
  const double spread = 1 / n1 + 1 / n2;
  for (std::size_t i = 0; i < dots.size(); ++i) {
    const double distance = dots[i].d11 + dots[i].d22 - 2 * dots[i].d12;
    g2[i] = kNoiseEma * g2[i] + (1 - kNoiseEma) * dots[i].d12;
    tr[i] = kNoiseEma * tr[i] + (1 - kNoiseEma) * distance / spread;
  }
  divide();
}

void Agvm::Noise::divide() {
  // Both averages have the same mass, so it cancels; the ratio of averages, never the average
  // ratio.
  const auto ratio = [](double t, double g) { return g > 0 ? t / g : kNan; };
  double sum_g2 = 0, sum_tr = 0;
  for (std::size_t i = 0; i < g2.size(); ++i) {
    per_module[i] = ratio(tr[i], g2[i]);
    sum_g2 += g2[i];
    sum_tr += tr[i];
  }
  model = ratio(sum_tr, sum_g2);
}

Agvm::Agvm(AgvmOptions options, std::int64_t modules) : options_(options) {
  check(options, modules);
  const auto n = static_cast<std::size_t>(modules);
  mu_.assign(n, 1.0);
  d_.assign(n, kNan);
  s_.assign(n, kNan);
  for (Noise* noise : {&raw_noise_, &preconditioned_noise_}) {
    noise->g2.assign(n, 0.0);
    noise->tr.assign(n, 0.0);
    noise->per_module.assign(n, kNan);
  }
}

void Agvm::measure(std::span<const HalfDots> raw,
                   std::span<const HalfDots> preconditioned,
                   double n1,
                   double n2,
                   std::int64_t step) {
  require_agvm(raw.size() == mu_.size() && preconditioned.size() == mu_.size(),
               "a measurement must have " + std::to_string(mu_.size()) + " modules, found " +
                   std::to_string(raw.size()) + " and " + std::to_string(preconditioned.size()));
  require_agvm(n1 > 0 && n2 > 0, "both halves must hold pictures");
  if (!std::ranges::all_of(raw, finite) || !std::ranges::all_of(preconditioned, finite)) {
    ++skipped_;
    return;
  }
  std::ranges::transform(preconditioned, d_.begin(), noise_fraction);
  s_ = agvm_factors(d_, options_.anchor, options_.clamp_low, options_.clamp_high);
  raw_noise_.add(raw, n1, n2);
  preconditioned_noise_.add(preconditioned, n1, n2);
  last_measured_ = step;
  const bool hold_all = dead(preconditioned[static_cast<std::size_t>(options_.anchor)]);
  if (!options_.enabled || stopped_ || hold_all) {
    return;
  }
  for (std::size_t i = 0; i < mu_.size(); ++i) {
    if (!dead(preconditioned[i])) {
      mu_[i] = options_.alpha * mu_[i] + (1 - options_.alpha) * s_[i];
    }
  }
}

void Agvm::tick(std::int64_t step) {
  if (ramp_left_ > 0) {
    const double left = static_cast<double>(ramp_left_ - 1) / static_cast<double>(ramp_left_);
    for (double& mu : mu_) {
      mu = 1 + (mu - 1) * left;
    }
    --ramp_left_;
  }
  if (options_.enabled && !stopped_ && step >= options_.stop) {
    stopped_ = true;
    start_ramp();
  }
}

void Agvm::set_options(const AgvmOptions& options) {
  check(options, static_cast<std::int64_t>(mu_.size()));
  const AgvmOptions old = std::exchange(options_, options);
  const bool on = options.enabled && !old.enabled, off = !options.enabled && old.enabled;
  if (on || options.anchor != old.anchor) {
    reset_factors();
  } else if (off && !stopped_) {
    start_ramp();
  }
  if (on || options.stop != old.stop) {
    stopped_ = false;
    ramp_left_ = options.enabled ? 0 : ramp_left_;
  }
}

void Agvm::reset_factors() {
  std::ranges::fill(mu_, 1.0);
  ramp_left_ = 0;
}

void Agvm::start_ramp() {
  ramp_left_ = options_.off_ramp;
  if (ramp_left_ == 0) {
    reset_factors();
  }
}

std::vector<std::pair<std::string, torch::Tensor>> Agvm::save() const {
  const std::vector<double> counters = {static_cast<double>(last_measured_),
                                        static_cast<double>(skipped_),
                                        static_cast<double>(ramp_left_),
                                        stopped_ ? 1.0 : 0.0};
  return {{"agvm/mu", pack(mu_)},
          {"agvm/d", pack(d_)},
          {"agvm/s", pack(s_)},
          {"agvm/g2", pack(raw_noise_.g2)},
          {"agvm/tr", pack(raw_noise_.tr)},
          {"agvm/preconditioned_g2", pack(preconditioned_noise_.g2)},
          {"agvm/preconditioned_tr", pack(preconditioned_noise_.tr)},
          {"agvm/counters", pack(counters)}};
}

void Agvm::load(const std::vector<std::pair<std::string, torch::Tensor>>& state) {
  Agvm next(options_, static_cast<std::int64_t>(mu_.size()));
  std::vector<double> counters(4);
  unpack(state, "agvm/mu", next.mu_);
  unpack(state, "agvm/d", next.d_);
  unpack(state, "agvm/s", next.s_);
  unpack(state, "agvm/g2", next.raw_noise_.g2);
  unpack(state, "agvm/tr", next.raw_noise_.tr);
  unpack(state, "agvm/preconditioned_g2", next.preconditioned_noise_.g2);
  unpack(state, "agvm/preconditioned_tr", next.preconditioned_noise_.tr);
  unpack(state, "agvm/counters", counters);
  next.raw_noise_.divide();
  next.preconditioned_noise_.divide();
  next.last_measured_ = static_cast<std::int64_t>(counters[0]);
  next.skipped_ = static_cast<std::int64_t>(counters[1]);
  next.ramp_left_ = static_cast<std::int64_t>(counters[2]);
  next.stopped_ = counters[3] != 0;
  *this = std::move(next);
}

}  // namespace batchscope::optim
