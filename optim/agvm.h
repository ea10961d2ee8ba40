#pragma once

#include <torch/torch.h>

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
  bool observe = true;
  std::int64_t interval = 10;
  double alpha = 0.97;
  std::int64_t start = 1;  // first measuring update, 1-based
  std::int64_t stop = std::numeric_limits<std::int64_t>::max();
  std::int64_t anchor = 0;  // module index
  double clamp_low = 0.5, clamp_high = 10;
};

/// Products of the two half-batch mean gradients of one module, in float64: <1,2>, <1,1>, <2,2>.
struct HalfDots {
  double d12 = 0, d11 = 0, d22 = 0;
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
  Agvm(AgvmOptions options, std::int64_t modules);
  /// Takes one measurement: raw products per module, products of the preconditioned halves where
  /// the method preconditions (else the same), and the number of pictures in each half. Non-finite
  /// measurements are skipped and counted; dead modules hold.
  void measure(std::span<const HalfDots> raw,
               std::span<const HalfDots> preconditioned,
               double n1,
               double n2,
               std::int64_t step);
  /// Advances the ramp after AGVM was switched off (100 updates to 1). Call once per update.
  void tick();
  void set_options(
      const AgvmOptions& options);  // switching on resets mu to 1; an anchor change too
  const AgvmOptions& options() const { return options_; }

  const std::vector<double>& mu() const {
    return mu_;
  }  // factors to apply; all 1 while only observing
  const std::vector<double>& d() const {
    return d_;
  }  // last noise fractions; NaN before the first measurement
  const std::vector<double>& noise_scale() const {
    return noise_;
  }  // Bn per module, NaN when unknown
  double model_noise_scale() const { return model_noise_; }
  std::int64_t last_measured() const { return last_measured_; }
  std::int64_t skipped() const { return skipped_; }

  std::vector<std::pair<std::string, torch::Tensor>> save() const;
  void load(const std::vector<std::pair<std::string, torch::Tensor>>& state);

 private:
  AgvmOptions options_;
  std::vector<double> mu_, d_, noise_;
  std::vector<double> g2_ema_, tr_ema_;
  double ema_mass_ = 0, model_noise_ = std::numeric_limits<double>::quiet_NaN();
  std::int64_t last_measured_ = 0, skipped_ = 0, ramp_left_ = 0;
};

/// The three products of two lists of tensors per module (float64 sums), module[i] in [0, modules).
std::vector<HalfDots> half_dots(const std::vector<torch::Tensor>& g1,
                                const std::vector<torch::Tensor>& g2,
                                const std::vector<std::int64_t>& module,
                                std::int64_t modules);

}  // namespace batchscope::optim
