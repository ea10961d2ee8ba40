#include "engine/train/shadows.h"

#include "engine/train/elapsed.h"
#include "engine/train/plan_options.h"
#include "engine/train/step_series.h"

#include <algorithm>
#include <cstdio>

namespace batchscope::train {
namespace {

std::string megabytes(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g MB", static_cast<double>(bytes) / 1e6);
  return text;
}

}  // namespace

ShadowSet::ShadowSet(const std::vector<optim::Parameter>& parameters,
                     std::vector<std::string> modules)
    : modules_(std::move(modules)),
      shadows_(parameters, static_cast<std::int64_t>(modules_.size())) {}

void ShadowSet::follow(const contract::RunSpec& spec, const PlanOf& plan_of) {
  std::vector<Member> next;
  std::vector<optim::Options> options;
  for (const contract::ShadowSpec& shadow : spec.optim.shadow) {
    const contract::RunSpec own = contract::shadow_spec(spec, shadow);
    const contract::ResolvedPlan plan = plan_of(own);
    options.push_back(optimizer_options(own, plan));
    next.push_back({shadow.label, options.back().method, plan.lr, {}});
  }
  const auto same = [](const Member& a, const Member& b) {
    return a.label == b.label && a.method == b.method;
  };
  for (std::size_t i = members_.size(); i-- > 0;) {
    if (std::none_of(
            next.begin(), next.end(), [&](const Member& m) { return same(m, members_[i]); })) {
      shadows_.remove(i);
      members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  for (std::size_t n = 0; n < next.size(); ++n) {
    const auto found = std::find_if(
        members_.begin(), members_.end(), [&](const Member& m) { return same(m, next[n]); });
    if (found == members_.end()) {
      shadows_.add(options[n]);
      members_.push_back(next[n]);
    } else {
      shadows_.at(static_cast<std::size_t>(found - members_.begin())).set_options(options[n]);
      found->lr = next[n].lr;
    }
  }
}

void ShadowSet::advance(const std::vector<torch::Tensor>& grads,
                        const optim::Schedule& schedule,
                        std::int64_t images,
                        const std::vector<double>& mu,
                        bool compare) {
  const auto start = MonotonicClock::now();
  std::vector<double> lr;
  for (const Member& member : members_) {
    lr.push_back(optim::scheduled_lr(schedule, member.lr, images));
  }
  shadows_.advance(grads, lr, mu, compare);
  step_ms_ = ms_since(start);
  spent_ms_ += step_ms_;
}

ShadowSet::Curves ShadowSet::declare(const std::string& label,
                                     contract::TelemetrySink& sink) const {
  const std::string prefix = "shadow/" + label + "/";
  return {
      series_family(sink,
                    prefix + "update_norm",
                    modules_,
                    "L2 norm of the change that shadow " + label + " would have made"),
      series_family(sink, prefix + "cos", modules_, "cosine between that change and the real one"),
      series_family(sink,
                    prefix + "lr_eff",
                    modules_,
                    "learning rate of shadow " + label + " times mu times mean trust")};
}

void ShadowSet::record(contract::StepRecord& row, contract::TelemetrySink& sink) {
  const auto start = MonotonicClock::now();
  const std::vector<optim::ShadowReport> reports = shadows_.compare();
  for (std::size_t i = 0; i < reports.size(); ++i) {
    Curves& curves = members_[i].curves;
    if (curves.update.empty()) {
      curves = declare(members_[i].label, sink);
    }
    put_values(row.values, curves.update, reports[i].update_norm);
    put_values(row.values, curves.cosine, reports[i].cosine);
    put_values(row.values, curves.lr, reports[i].lr);
  }
  if (ms_series_ < 0) {
    ms_series_ =
        sink.add_series({{"shadow_ms", "ms", "", "time that the shadow optimizers took"}}).at(0);
  }
  const double ms = ms_since(start);
  spent_ms_ += ms;
  row.values.emplace_back(ms_series_, step_ms_ + ms);
}

double ShadowSet::take_ms() {
  return std::exchange(spent_ms_, 0.0);
}

ShadowSet::Named ShadowSet::save() const {
  Named all;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    for (const auto& [name, tensor] : shadows_.at(i).state_views()) {
      all.emplace_back(members_[i].label + "/" + name, tensor);
    }
  }
  return all;
}

void ShadowSet::load(const Named& state) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const std::string prefix = members_[i].label + "/";
    Named own;
    for (const auto& [name, tensor] : state) {
      if (name.starts_with(prefix)) {
        own.emplace_back(name.substr(prefix.size()), tensor);
      }
    }
    if (!own.empty()) {
      shadows_.at(i).load(own);
    }
  }
}

std::string ShadowSet::sentence() const {
  std::string labels;
  for (const Member& member : members_) {
    labels += (labels.empty() ? "" : ", ") + member.label;
  }
  return std::to_string(members_.size()) + " shadow optimizer" + (members_.size() == 1 ? "" : "s") +
         " (" + labels + "): " + megabytes(state_bytes()) + " of state, " +
         megabytes(scratch_bytes()) + " more in an update that is recorded.";
}

}  // namespace batchscope::train
