#pragma once

#include "engine/contract/records.h"
#include "optim/agvm.h"
#include "optim/optimizer.h"

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::train {

/// What one update was, as the trainer saw it. Pointers are borrowed for the call.
struct StepObservation {
  std::int64_t seq = 0, segment = 0, step = 0, images = 0, pictures = 0;
  double seconds = 0;               // training time of the run
  double step_ms = 0, data_ms = 0;  // this update; waiting for pictures in it
  double diagnostics_percent = 0;
  double lr = 0, loss = 0;
  std::vector<double> parts;  // losses in the model's order
  const optim::StepReport* report = nullptr;
  const optim::Agvm* agvm = nullptr;
  bool measured = false;       // AGVM measured in this update
  bool modulated = false;      // factors differ from plain training, or may
  bool modules = true;         // record the norms of every module
  bool tensors = false;        // record the norms of every tensor
  std::vector<double> factor;  // LR-mapping ramp per module; empty: none
};

/// The curves of a run: knows their names, units and indices, and turns an observation into a
/// StepRecord. One thread.
class StepSeries {
 public:
  StepSeries(contract::TelemetrySink& sink,
             const std::vector<std::string>& modules,
             const std::vector<std::string>& loss_names,
             std::vector<std::string> tensors);
  contract::StepRecord record(const StepObservation& seen);

 private:
  using Values = std::vector<std::pair<std::int32_t, double>>;
  void put_noise(Values& values, const StepObservation& seen) const;
  void put_moments(Values& values, const optim::StepReport& report) const;
  void put_tensors(Values& values, const optim::StepReport& report);

  contract::TelemetrySink& sink_;
  std::vector<std::string> tensors_;
  // Indices of one curve, or of its one-per-module family, in the sink's table.
  std::int32_t lr_, loss_, grad_norm_, clip_, images_per_s_, step_ms_, data_ms_, diagnostics_;
  std::int32_t pmd_c_, beta1_, beta2_, n_eff_m_, n_eff_v_, noise_model_, noise_pre_model_, skipped_,
      batch_;
  std::int32_t horizon_m_, horizon_v_;
  std::vector<std::int32_t> parts_;
  std::vector<std::int32_t> d_, mu_, noise_, m_norm_, v_norm_, grad_, weight_, update_, trust_,
      lr_eff_, ramp_, noise_pre_, phi_, clamped_;
  // Declared with the first row that has them: four curves a tensor.
  std::vector<std::int32_t> tensor_grad_, tensor_weight_, tensor_update_, tensor_trust_;
};

/// Declares one curve a module (or tensor), "name/module"; returns their indices.
std::vector<std::int32_t> series_family(contract::TelemetrySink& sink,
                                        const std::string& name,
                                        const std::vector<std::string>& modules,
                                        const std::string& help);
/// Appends (series[m], numbers[m]) for as many as there are of both.
void put_values(std::vector<std::pair<std::int32_t, double>>& values,
                const std::vector<std::int32_t>& series,
                const std::vector<double>& numbers);

/// "loss_objectness" -> "loss/objectness".
std::string loss_series_name(const std::string& loss_name);

}  // namespace batchscope::train
