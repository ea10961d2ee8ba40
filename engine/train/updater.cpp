#include "engine/train/updater.h"

#include "engine/train/plan_options.h"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>

namespace batchscope::train {
namespace {

constexpr const char* kOptimizer = "optimizer/";
constexpr const char* kOldOptimizer = "old_optimizer/";
constexpr const char* kAgvm = "agvm/";

/// Updates of a ramp over a switch; half a warm-up where that is more (algorithms.md 10.5).
constexpr std::int64_t kRampUpdates = 100;

bool preconditions(optim::Method method) {
  return method != optim::Method::kSgd && method != optim::Method::kLars;
}

bool finite(const std::vector<torch::Tensor>& gradients) {
  return std::all_of(gradients.begin(), gradients.end(), [](const torch::Tensor& g) {
    return !g.defined() || std::isfinite(g.norm(2, torch::kDouble).item<double>());
  });
}

}  // namespace

Updater::Updater(UpdateState& state,
                 std::vector<std::string> modules,
                 std::vector<optim::Parameter> parameters,
                 std::int64_t training_pictures)
    : state_(state),
      modules_(std::move(modules)),
      parameters_(std::move(parameters)),
      training_pictures_(training_pictures) {
  for (const optim::Parameter& parameter : parameters_) {
    module_of_.push_back(parameter.module);
  }
  build();
  if (state_.total_images == 0) {
    state_.total_images = plan_.total_images;
  }
}

Updater::~Updater() = default;

void Updater::build() {
  use_spec(state_.spec);
  optimizer_ =
      optim::make_optimizer(optimizer_options(state_.spec, plan_), parameters_, module_count());
  agvm_ = std::make_unique<optim::Agvm>(agvm_options(state_.spec, plan_, modules_), module_count());
  old_optimizer_.reset();
  last_mu_ = agvm_->mu();
}

bool Updater::measures(std::int64_t micros) const {
  return micros >= 2 && optim::agvm_measures(agvm_->options(), state_.step + 1);
}

bool Updater::measure(const HalfGradients& halves) {
  const auto raw = optim::dots_by_module(
      halves.dots != nullptr ? *halves.dots : optim::tensor_dots(halves.half1, halves.half2),
      module_of_,
      module_count());
  auto preconditioned = raw;
  if (preconditions(optimizer_->options().method)) {
    const contract::RunSpec& spec = state_.spec;
    const double scale =
        spec.optim.agvm.compat_official ? 1.0 / static_cast<double>(spec.batch.ranks) : 1.0;
    preconditioned =
        optim::dots_by_module(optimizer_->preconditioned_dots(halves.half1, halves.half2, scale),
                              module_of_,
                              module_count());
  }
  const std::int64_t skipped = agvm_->skipped();
  agvm_->measure(raw, preconditioned, halves.pictures1, halves.pictures2, state_.step + 1);
  return agvm_->skipped() == skipped;
}

optim::LrRamp Updater::matched_ramp(optim::Optimizer& old,
                                    const contract::RunSpec& old_spec,
                                    const std::vector<double>& factor,
                                    optim::Optimizer& next,
                                    double lr_target,
                                    const std::vector<torch::Tensor>& gradient) const {
  auto du_old = old.preview(gradient);
  const auto du_new = next.preview(gradient);
  for (std::size_t p = 0; p < du_old.size() && !factor.empty(); ++p) {
    du_old[p].mul_(factor[static_cast<std::size_t>(module_of_[p])]);
  }
  const double lr_old = optim::scheduled_lr(schedule_, plan_for(old_spec).lr, state_.images);
  return optim::match_update_ramp(du_old,
                                  du_new,
                                  module_of_,
                                  module_count(),
                                  lr_old,
                                  lr_target,
                                  std::max(kRampUpdates, plan_.warmup_steps / 2));
}

void Updater::start_ramp(const std::vector<torch::Tensor>& mean) {
  state_.ramp = matched_ramp(*old_optimizer_,
                             state_.pending->old_spec,
                             state_.pending->old_factor,
                             *optimizer_,
                             last_lr_,
                             mean);
  state_.pending.reset();
  old_optimizer_.reset();
}

std::vector<double> Updater::ramp_factors() const {
  std::vector<double> factors;
  for (std::size_t m = 0; m < modules_.size() && state_.ramp.active(); ++m) {
    factors.push_back(state_.ramp.factor(static_cast<std::int64_t>(m)));
  }
  return factors;
}

std::vector<double> Updater::module_factors() const {
  std::vector<double> factors = agvm_->mu();
  const std::vector<double> ramp = ramp_factors();
  for (std::size_t m = 0; m < ramp.size(); ++m) {
    factors[m] *= ramp[m];
  }
  return factors;
}

optim::StepReport Updater::refused_report(const std::vector<torch::Tensor>& mean) const {
  optim::StepReport report;
  std::vector<double> squares(modules_.size(), 0);
  for (std::size_t p = 0; p < mean.size(); ++p) {
    const auto norm = mean[p].defined() ? mean[p].norm().item<double>() : 0.0;
    squares[static_cast<std::size_t>(module_of_[p])] += norm * norm;
    report.grad_norm += norm * norm;
  }
  for (const double square : squares) {
    report.module_grad_norm.push_back(std::sqrt(square));
  }
  report.grad_norm = std::sqrt(report.grad_norm);
  return report;
}

double Updater::next_lr() const {
  return optim::scheduled_lr(schedule_, plan_.lr, state_.images);
}

optim::StepReport Updater::update(std::vector<torch::Tensor>& mean,
                                  std::int64_t pictures,
                                  bool refused,
                                  const std::vector<double>& squares) {
  const torch::NoGradGuard no_grad;
  last_lr_ = next_lr();
  last_mu_ = agvm_->mu();
  optim::StepReport report;
  if (refused) {
    report = refused_report(mean);
  } else {
    if (state_.pending && finite(mean)) {
      start_ramp(mean);
    }
    report = squares.empty() ? optimizer_->step(mean, last_lr_, module_factors())
                             : optimizer_->step_measured(mean, squares, last_lr_, module_factors());
  }
  if (report.applied) {
    agvm_->tick(state_.step + 1);
    if (state_.ramp.active()) {
      state_.ramp.tick();
    }
    state_.last_trust = report.module_trust;
  } else {
    state_.skipped += 1;
  }
  state_.step += 1;
  state_.images += pictures;
  return report;
}

double Updater::mean_trust() const {
  double sum = 0, elements = 0;
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const auto m = static_cast<std::size_t>(module_of_[p]);
    if (m < state_.last_trust.size()) {
      const auto n = static_cast<double>(parameters_[p].tensor.numel());
      sum += state_.last_trust[m] * n;
      elements += n;
    }
  }
  return elements > 0 ? sum / elements : 1;
}

void Updater::save(StateFile& file) const {
  file.add(kOptimizer, optimizer_->state_views());
  file.add(kAgvm, agvm_->save());
  if (old_optimizer_ != nullptr) {
    file.add(kOldOptimizer, old_optimizer_->state_views());
  }
}

void Updater::load(const StateFile& file) {
  build();
  optimizer_->load(file.under(kOptimizer));
  agvm_->load(file.under(kAgvm));
  last_mu_ = agvm_->mu();
  if (state_.pending) {
    old_optimizer_ =
        optim::make_optimizer(options_of(state_.pending->old_spec), parameters_, module_count());
    old_optimizer_->load(file.under(kOldOptimizer));
  }
}

}  // namespace batchscope::train
