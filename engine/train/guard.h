#pragma once

#include "engine/contract/run_spec.h"

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace batchscope::train {

/// What the guard makes of one update.
struct GuardVerdict {
  bool nonfinite = false;        // loss or gradient is not finite: the update was skipped
  bool first_nonfinite = false;  // … and the one before was finite
  bool diverged = false;
  std::int64_t abnormal_step = 0;  // first step of the abnormal stretch; 0: all is normal
  std::int64_t module = -1;  // where it began: largest ratio of gradient norm to recent median
  double ratio = 0;          // that ratio; infinite for a norm that is not finite
  std::string reason;        // one sentence part when diverged
};

/// Watches losses and gradient norms for divergence. Every input is a value reduced over the ranks,
/// so that all of them decide alike. Plain numbers; one thread.
class Guard {
 public:
  explicit Guard(const contract::GuardSection& options) : options_(options) {}
  /// True when an update with this loss must not be applied: not finite, or above the limit.
  bool refuses(double loss) const;
  /// Takes update `step` (1-based): its mean loss, the gradient norm of each module, and whether it
  /// was applied.
  GuardVerdict look(std::int64_t step,
                    double loss,
                    const std::vector<double>& module_grad_norm,
                    bool applied);
  /// Steps of which no state should be saved: an abnormal stretch is going on.
  bool abnormal() const { return first_step_ > 0; }
  /// After a divergence was handled by a pause or by going on: counts afresh, but stays wary until
  /// updates are normal again.
  void forgive() { nonfinite_in_a_row_ = 0; }
  /// After the divergence was undone.
  void forget();
  /// True when the smoothed loss never fell below its start (the mean of the first ten losses).
  bool never_learned() const;

 private:
  struct Worst {
    std::int64_t module = -1;
    double ratio = 0;
  };
  Worst worst_module(const std::vector<double>& norms) const;
  void learn(double loss, const std::vector<double>& norms);
  void remember_ratios(const std::vector<double>& norms);

  contract::GuardSection options_;
  std::vector<std::deque<double>> recent_;  // norms of normal updates per module
  std::vector<double> last_ratio_;          // of the last update with finite norms
  std::int64_t nonfinite_in_a_row_ = 0;
  std::int64_t normal_in_a_row_ = 0;
  std::int64_t first_step_ = 0, first_module_ = -1;
  double first_ratio_ = 0;
  std::int64_t losses_ = 0;
  double start_loss_ = 0, smooth_loss_ = 0;
  bool fell_ = false;
};

}  // namespace batchscope::train
