#pragma once

#include "optim/half_dots.h"

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace batchscope::optim {

struct AgvmOptions {
  bool enabled = false;
  bool observe = true;  // measure while not enabled
  std::int64_t interval = 10;
  double alpha = 0.97;                                           // weight of the old factor
  std::int64_t start = 1;                                        // first measuring update, 1-based
  std::int64_t stop = std::numeric_limits<std::int64_t>::max();  // last measuring update
  std::int64_t anchor = 0;                                       // module index
  double clamp_low = 0.5, clamp_high = 10;                       // of the ratio, before the root
  std::int64_t off_ramp = 100;  // updates in which the factors return to 1; 0: at once
};

/// d = 1 - cos of the two halves, each norm bounded below by 1e-8 (algorithms.md 2.3). NaN if a
/// product is not finite.
double noise_fraction(const HalfDots& dots);
/// Raw factors s_i = sqrt(clamp((d_anchor + 1e-6)/(d_i + 1e-6), low, high)).
std::vector<double> agvm_factors(std::span<const double> d,
                                 std::int64_t anchor,
                                 double low,
                                 double high);
/// True when update `step` (1-based) measures.
bool agvm_measures(const AgvmOptions& options, std::int64_t step);

/// State of AGVM and of the noise-scale estimate, for every module. Plain numbers; one thread.
class Agvm {
 public:
  /// Throws std::invalid_argument for modules < 1 or options out of range.
  Agvm(AgvmOptions options, std::int64_t modules);
  /// Takes one measurement: raw products per module, products of the preconditioned halves where
  /// the method preconditions (else the same), and the number of pictures in each half. A
  /// measurement with a non-finite number changes nothing and is counted. A module whose halves
  /// are both zero holds its factor; if the anchor is one, all do.
  void measure(std::span<const HalfDots> raw,
               std::span<const HalfDots> preconditioned,
               double n1,
               double n2,
               std::int64_t step);
  /// Ends update `step` (1-based; 0: unknown): advances the ramp to 1 after AGVM was switched off,
  /// and starts that ramp when `step` reaches options().stop. Call once per update.
  void tick(std::int64_t step = 0);
  /// Switching on or another anchor sets every factor to 1; switching off starts the ramp to 1.
  void set_options(const AgvmOptions& options);
  const AgvmOptions& options() const { return options_; }

  /// Factors to apply to the learning rates; all 1 while only observing.
  const std::vector<double>& mu() const { return mu_; }
  /// Last noise fractions; NaN before the first measurement.
  const std::vector<double>& d() const { return d_; }
  /// Last raw factors s, before the moving average; NaN before the first measurement.
  const std::vector<double>& raw_factors() const { return s_; }
  /// Simple noise scale Bn per module in pictures (algorithms.md 2.15); NaN when unknown.
  const std::vector<double>& noise_scale() const { return raw_noise_.per_module; }
  double model_noise_scale() const { return raw_noise_.model; }
  /// The same from the preconditioned halves.
  const std::vector<double>& preconditioned_noise_scale() const {
    return preconditioned_noise_.per_module;
  }
  double model_preconditioned_noise_scale() const { return preconditioned_noise_.model; }
  std::int64_t last_measured() const { return last_measured_; }
  std::int64_t skipped() const { return skipped_; }

  /// Bit-exact state "agvm/…" (float64), without the options. load() throws std::invalid_argument
  /// when an entry is missing or has another number of modules.
  std::vector<std::pair<std::string, torch::Tensor>> save() const;
  void load(const std::vector<std::pair<std::string, torch::Tensor>>& state);

 private:
  /// Moving averages of |G|² and tr(Sigma) per module; their ratio is the noise scale.
  struct Noise {
    std::vector<double> g2, tr, per_module;
    double model = std::numeric_limits<double>::quiet_NaN();
    void add(std::span<const HalfDots> dots, double n1, double n2);
    void divide();
  };
  void reset_factors();
  void start_ramp();

  AgvmOptions options_;
  std::vector<double> mu_, d_, s_;
  Noise raw_noise_, preconditioned_noise_;
  std::int64_t last_measured_ = 0, skipped_ = 0;
  std::int64_t ramp_left_ = 0;
  bool stopped_ = false;  // `stop` has passed: the factors are on their way to 1
};

}  // namespace batchscope::optim
