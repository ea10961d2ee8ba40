#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace batchscope::optim {

namespace {

/// Batch up to which the mixed rule is linear (algorithms.md 1.1).
constexpr double kMixedLimit = 128;

/// Factor of the decay alone after `images` pictures; cosine and poly begin where the warm-up ends.
double decay_factor(const Schedule& s, std::int64_t images) {
  if (s.decay == Decay::kNone) {
    return 1;
  }
  if (s.decay == Decay::kStep) {
    const auto passed = std::ranges::count_if(s.milestones, [&](auto m) { return m <= images; });
    return std::pow(s.factor, static_cast<double>(passed));
  }
  const std::int64_t begin = s.warmup == Warmup::kNone ? 0 : s.warmup_images;
  if (images <= begin || s.total_images <= begin) {
    return 1;
  }
  const double progress = std::min(
      1.0, static_cast<double>(images - begin) / static_cast<double>(s.total_images - begin));
  return s.decay == Decay::kCosine ? 0.5 * (1 + std::cos(std::numbers::pi * progress))
                                   : std::pow(1 - progress, s.power);
}

template <typename T, std::size_t N>
T named(const std::string& name, const std::pair<const char*, T> (&known)[N], const char* what) {
  std::string names;
  for (const auto& [key, value] : known) {
    if (name == key) {
      return value;
    }
    names += names.empty() ? key : std::string(", ") + key;
  }
  throw std::invalid_argument(std::string(what) + " \"" + name +
                              "\" is not known; known: " + names);
}

}  // namespace

double scaled_lr(LrRule rule, double lr, std::int64_t batch, std::int64_t base_batch) {
  if (batch < 1 || base_batch < 1) {
    throw std::invalid_argument("lr rule: batches must be at least 1, found " +
                                std::to_string(batch) + " and " + std::to_string(base_batch));
  }
  const auto b = static_cast<double>(batch), base = static_cast<double>(base_batch);
  switch (rule) {
    case LrRule::kNone:
      return lr;
    case LrRule::kLinear:
      return lr * b / base;
    case LrRule::kSqrt:
      return lr * std::sqrt(b / base);
    case LrRule::kMixed:
      return lr * std::min(b, kMixedLimit) / std::min(base, kMixedLimit) *
             std::sqrt(std::max(b, kMixedLimit) / std::max(base, kMixedLimit));
  }
  return lr;
}

double scheduled_lr(const Schedule& schedule, double lr, std::int64_t images) {
  const double target = lr * decay_factor(schedule, images);
  if (schedule.warmup == Warmup::kNone || images >= schedule.warmup_images) {
    return target;
  }
  const double batch = static_cast<double>(std::max<std::int64_t>(1, schedule.warmup_batch));
  const double it = static_cast<double>(images) / batch;
  const double n = static_cast<double>(schedule.warmup_images) / batch;
  switch (schedule.warmup) {
    case Warmup::kNone:
      return target;
    case Warmup::kLinear:
      return target * (1 - (1 - it / n) * (1 - schedule.warmup_ratio));
    case Warmup::kExp:
      return target * std::pow(schedule.warmup_ratio, 1 - it / n);
    case Warmup::kConstantSpeed:
      return schedule.warmup_from + (target - schedule.warmup_from) * it / n;
    case Warmup::kRamp:
      return target * std::min(1.0, (it + 1) / n);
  }
  return target;
}

double pmd_coefficient(std::int64_t k, std::int64_t period, bool cosine, bool hit_zero) {
  if (period < 1 || k < 0 || k >= period) {
    throw std::invalid_argument("pmd: phase " + std::to_string(k) + " is not in a period of " +
                                std::to_string(period));
  }
  const std::int64_t last = hit_zero ? std::max<std::int64_t>(1, period - 1) : period;
  const double x = static_cast<double>(k) / static_cast<double>(last);
  return cosine ? 0.5 * (1 + std::cos(std::numbers::pi * x)) : 1 - x;
}

Warmup warmup_from(const std::string& name) {
  static constexpr std::pair<const char*, Warmup> kKnown[] = {
      {"none", Warmup::kNone},
      {"linear", Warmup::kLinear},
      {"exp", Warmup::kExp},
      {"constant_speed", Warmup::kConstantSpeed},
      {"ramp", Warmup::kRamp}};
  return named(name, kKnown, "warm-up");
}

Decay decay_from(const std::string& name) {
  static constexpr std::pair<const char*, Decay> kKnown[] = {{"none", Decay::kNone},
                                                             {"step", Decay::kStep},
                                                             {"cosine", Decay::kCosine},
                                                             {"poly", Decay::kPoly}};
  return named(name, kKnown, "decay");
}

LrRule lr_rule_from(const std::string& name) {
  static constexpr std::pair<const char*, LrRule> kKnown[] = {{"none", LrRule::kNone},
                                                              {"linear", LrRule::kLinear},
                                                              {"sqrt", LrRule::kSqrt},
                                                              {"mixed", LrRule::kMixed}};
  return named(name, kKnown, "lr rule");
}

}  // namespace batchscope::optim
