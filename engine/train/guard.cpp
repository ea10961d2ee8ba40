#include "engine/train/guard.h"

#include "engine/train/number_text.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace batchscope::train {
namespace {

constexpr std::size_t kWindow = 64;        // norms remembered per module
constexpr std::size_t kEnough = 8;         // fewer than these: no median to speak of
constexpr double kAbnormalRatio = 10;      // of a norm to its recent median
constexpr std::int64_t kCalm = 20;         // normal updates that end an abnormal stretch
constexpr std::int64_t kStartLosses = 10;  // mean of these is the loss at the start

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

bool Guard::refuses(double loss) const {
  return !std::isfinite(loss) || (loss > options_.loss_limit && options_.on_diverge != "continue");
}

Guard::Worst Guard::worst_module(const std::vector<double>& norms) const {
  Worst worst;
  for (std::size_t m = 0; m < norms.size(); ++m) {
    double ratio = 0;
    if (!std::isfinite(norms[m])) {
      ratio = std::numeric_limits<double>::infinity();
    } else if (m < recent_.size() && recent_[m].size() >= kEnough) {
      const double usual = median({recent_[m].begin(), recent_[m].end()});
      ratio = usual > 0 ? norms[m] / usual : 0;
    }
    // Several modules overflow at once as a rule: the one that had grown most just before began it.
    const bool began = m < last_ratio_.size() && worst.module >= 0 && ratio == worst.ratio &&
                       last_ratio_[m] > last_ratio_[static_cast<std::size_t>(worst.module)];
    if (ratio > worst.ratio || began) {
      worst = {static_cast<std::int64_t>(m), ratio};
    }
  }
  return worst;
}

void Guard::remember_ratios(const std::vector<double>& norms) {
  last_ratio_.assign(norms.size(), 0);
  for (std::size_t m = 0; m < norms.size() && m < recent_.size(); ++m) {
    const double usual = recent_[m].empty() ? 0 : median({recent_[m].begin(), recent_[m].end()});
    last_ratio_[m] = std::isfinite(norms[m]) && usual > 0 ? norms[m] / usual : 0;
  }
}

void Guard::learn(double loss, const std::vector<double>& norms) {
  recent_.resize(norms.size());
  for (std::size_t m = 0; m < norms.size(); ++m) {
    recent_[m].push_back(norms[m]);
    if (recent_[m].size() > kWindow) {
      recent_[m].pop_front();
    }
  }
  ++losses_;
  if (losses_ <= kStartLosses) {
    start_loss_ += (loss - start_loss_) / static_cast<double>(losses_);
    smooth_loss_ = start_loss_;
  } else {
    smooth_loss_ += 0.1 * (loss - smooth_loss_);
    fell_ = fell_ || smooth_loss_ < start_loss_;
  }
}

GuardVerdict Guard::look(std::int64_t step,
                         double loss,
                         const std::vector<double>& module_grad_norm,
                         bool applied) {
  GuardVerdict verdict;
  const bool finite_norms = std::all_of(module_grad_norm.begin(),
                                        module_grad_norm.end(),
                                        [](double norm) { return std::isfinite(norm); });
  verdict.nonfinite = !std::isfinite(loss) || !finite_norms;
  verdict.first_nonfinite = verdict.nonfinite && nonfinite_in_a_row_ == 0;
  nonfinite_in_a_row_ = verdict.nonfinite ? nonfinite_in_a_row_ + 1 : 0;

  const Worst worst = worst_module(module_grad_norm);
  const bool too_large = std::isfinite(loss) && loss > options_.loss_limit;
  const bool normal = !verdict.nonfinite && !too_large && worst.ratio < kAbnormalRatio;
  if (normal) {
    if (applied) {
      learn(loss, module_grad_norm);
    }
    if (++normal_in_a_row_ >= kCalm) {
      first_step_ = 0;
    }
  } else {
    normal_in_a_row_ = 0;
    if (first_step_ == 0) {
      first_step_ = step;
      first_module_ = worst.module;
      first_ratio_ = worst.ratio;
    }
  }
  if (finite_norms) {
    remember_ratios(module_grad_norm);
  }
  verdict.abnormal_step = first_step_;
  verdict.module = first_module_;
  verdict.ratio = first_ratio_;
  if (too_large) {
    verdict.diverged = true;
    verdict.reason = "the loss " + number_text(loss, 3) + " is above the limit of " +
                     number_text(options_.loss_limit, 3);
  } else if (nonfinite_in_a_row_ >= options_.nonfinite_limit) {
    verdict.diverged = true;
    verdict.reason = std::to_string(nonfinite_in_a_row_) +
                     " updates in a row had a loss or gradient that was not finite";
  }
  return verdict;
}

void Guard::forget() {
  nonfinite_in_a_row_ = 0;
  normal_in_a_row_ = 0;
  first_step_ = 0;
  first_module_ = -1;
  first_ratio_ = 0;
}

bool Guard::never_learned() const {
  return losses_ > kStartLosses && !fell_;
}

}  // namespace batchscope::train
