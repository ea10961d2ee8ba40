#include "engine/train/step_series.h"

#include <algorithm>
#include <limits>

namespace batchscope::train {
namespace {

using contract::SeriesInfo;

std::int32_t one(contract::TelemetrySink& sink,
                 const std::string& name,
                 const std::string& unit,
                 const std::string& help) {
  return sink.add_series({SeriesInfo{name, unit, "", help}}).at(0);
}

bool any_but(const std::vector<double>& numbers, double usual) {
  return std::any_of(numbers.begin(), numbers.end(), [&](double x) { return x != usual; });
}

/// Number of gradients that an exponential mean with this weight of the history remembers.
double horizon(double beta) {
  return beta < 1 ? 1 / (1 - beta) : std::numeric_limits<double>::infinity();
}

}  // namespace

std::vector<std::int32_t> series_family(contract::TelemetrySink& sink,
                                        const std::string& name,
                                        const std::vector<std::string>& modules,
                                        const std::string& help) {
  std::vector<SeriesInfo> infos;
  infos.reserve(modules.size());
  for (const std::string& module : modules) {
    SeriesInfo info{name, "", module, help};
    info.name.append("/").append(module);
    infos.push_back(std::move(info));
  }
  return sink.add_series(infos);
}

void put_values(std::vector<std::pair<std::int32_t, double>>& values,
                const std::vector<std::int32_t>& series,
                const std::vector<double>& numbers) {
  for (std::size_t m = 0; m < series.size() && m < numbers.size(); ++m) {
    values.emplace_back(series[m], numbers[m]);
  }
}

std::string loss_series_name(const std::string& loss_name) {
  return "loss/" + (loss_name.starts_with("loss_") ? loss_name.substr(5) : loss_name);
}

StepSeries::StepSeries(contract::TelemetrySink& sink,
                       const std::vector<std::string>& modules,
                       const std::vector<std::string>& loss_names,
                       std::vector<std::string> tensors)
    : sink_(sink), tensors_(std::move(tensors)) {
  lr_ = one(sink, "lr", "", "scheduled learning rate before module factors");
  loss_ = one(sink, "loss", "", "mean loss over the pictures of the update, all ranks");
  for (const std::string& name : loss_names) {
    parts_.push_back(one(sink, loss_series_name(name), "", name + ", mean over the update"));
  }
  grad_norm_ = one(sink, "grad_norm", "", "L2 norm of the whole gradient before clipping");
  clip_ = one(sink, "clip_factor", "", "factor of gradient clipping; 1: not clipped");
  images_per_s_ = one(sink, "images_per_s", "1/s", "pictures trained on per second, all ranks");
  step_ms_ = one(sink, "step_ms", "ms", "wall time of the update");
  data_ms_ = one(sink, "data_ms", "ms", "part of it spent waiting for pictures");
  diagnostics_ = one(sink, "diagnostics_percent", "%", "part of the step time spent measuring");
  batch_ = one(sink, "batch", "", "pictures of the update, all ranks");
  skipped_ = one(sink, "skipped", "", "1: the update was skipped, its gradient was not finite");
  d_ = series_family(sink, "d", modules, "noise fraction 1 - cos of the two half-batch gradients");
  mu_ = series_family(sink, "mu", modules, "AGVM's factor on the learning rate");
  noise_ = series_family(sink, "noise", modules, "simple noise scale tr(Sigma)/|G|^2 in pictures");
  noise_model_ = one(sink, "noise/model", "", "simple noise scale of the whole model in pictures");
  noise_pre_ = series_family(
      sink, "noise_pre", modules, "noise scale of the gradients as d sees them: preconditioned");
  noise_pre_model_ =
      one(sink, "noise_pre/model", "", "noise scale of the whole gradient as d sees it");
  phi_ = series_family(sink, "phi", modules, "(lr mu)^2 d, AGVM's gradient variance");
  pmd_c_ = one(sink, "pmd_c", "", "PMD-LAMB's decay coefficient");
  beta1_ = one(sink, "beta1_eff", "", "beta1 times the coefficient");
  beta2_ = one(sink, "beta2_eff", "", "beta2 times the coefficient");
  n_eff_m_ = one(sink, "n_eff_m", "", "effective number of gradients in the first moment");
  n_eff_v_ = one(sink, "n_eff_v", "", "effective number of gradients in the second moment");
  horizon_m_ = one(sink, "horizon_m", "", "1/(1 - beta1_eff), updates");
  horizon_v_ = one(sink, "horizon_v", "", "1/(1 - beta2_eff), updates");
  m_norm_ = series_family(sink, "m_norm", modules, "norm of the first moment, bias corrected");
  v_norm_ = series_family(sink, "v_norm", modules, "norm of the second moment, bias corrected");
  grad_ = series_family(sink, "grad_norm", modules, "L2 norm of the module's gradient");
  weight_ = series_family(sink, "weight_norm", modules, "L2 norm of the module's weights");
  update_ = series_family(sink, "update_norm", modules, "L2 norm of the change of the weights");
  trust_ = series_family(sink, "trust", modules, "mean trust ratio over the adapted tensors");
  clamped_ = series_family(
      sink, "clamped", modules, "tensors whose trust ratio the clamp bounded in the update");
  lr_eff_ = series_family(sink, "lr_eff", modules, "learning rate times mu times mean trust");
  ramp_ =
      series_family(sink, "ramp", modules, "factor that carries the learning rate over a switch");
}

contract::StepRecord StepSeries::record(const StepObservation& seen) {
  contract::StepRecord row;
  row.seq = seen.seq;
  row.segment = seen.segment;
  row.step = seen.step;
  row.images = seen.images;
  row.seconds = seen.seconds;
  Values& v = row.values;
  v.reserve(64);
  v.emplace_back(lr_, seen.lr);
  v.emplace_back(loss_, seen.loss);
  put_values(v, parts_, seen.parts);
  const optim::StepReport& report = *seen.report;
  v.emplace_back(grad_norm_, report.grad_norm);
  v.emplace_back(clip_, report.clip_factor);
  const auto pictures = static_cast<double>(seen.pictures);
  v.emplace_back(images_per_s_, seen.step_ms > 0 ? 1000 * pictures / seen.step_ms : 0);
  v.emplace_back(step_ms_, seen.step_ms);
  v.emplace_back(data_ms_, seen.data_ms);
  v.emplace_back(diagnostics_, seen.diagnostics_percent);
  v.emplace_back(batch_, pictures);
  if (!report.applied) {
    v.emplace_back(skipped_, 1);
  }
  if (seen.measured) {
    put_noise(v, seen);
  }
  if (seen.modulated) {
    put_values(v, mu_, seen.agvm->mu());
  }
  put_values(v, ramp_, seen.factor);
  if (seen.modules) {
    put_values(v, grad_, report.module_grad_norm);
  }
  if (report.applied && seen.modules) {
    put_moments(v, report);
  }
  if (report.applied && seen.tensors) {
    put_tensors(v, report);
  }
  return row;
}

void StepSeries::put_noise(Values& v, const StepObservation& seen) const {
  const std::vector<double>& d = seen.agvm->d();
  put_values(v, d_, d);
  put_values(v, noise_, seen.agvm->noise_scale());
  v.emplace_back(noise_model_, seen.agvm->model_noise_scale());
  put_values(v, noise_pre_, seen.agvm->preconditioned_noise_scale());
  v.emplace_back(noise_pre_model_, seen.agvm->model_preconditioned_noise_scale());
  for (std::size_t m = 0; m < phi_.size(); ++m) {
    const double rate = seen.lr * seen.agvm->mu()[m];
    v.emplace_back(phi_[m], rate * rate * d[m]);
  }
}

void StepSeries::put_moments(Values& v, const optim::StepReport& report) const {
  put_values(v, weight_, report.module_weight_norm);
  put_values(v, update_, report.module_update_norm);
  put_values(v, trust_, report.module_trust);
  put_values(v, lr_eff_, report.module_lr);
  put_values(v, m_norm_, report.module_m_norm);
  v.emplace_back(beta1_, report.beta1_eff);
  v.emplace_back(horizon_m_, horizon(report.beta1_eff));
  v.emplace_back(n_eff_m_, report.n_eff_m);
  if (any_but(report.module_trust, 1)) {
    put_values(v, clamped_, report.module_clamped);
  }
  if (any_but(report.module_v_norm, 0)) {
    put_values(v, v_norm_, report.module_v_norm);
    v.emplace_back(beta2_, report.beta2_eff);
    v.emplace_back(horizon_v_, horizon(report.beta2_eff));
    v.emplace_back(n_eff_v_, report.n_eff_v);
    v.emplace_back(pmd_c_, report.pmd_c);
  }
}

void StepSeries::put_tensors(Values& v, const optim::StepReport& report) {
  if (tensor_grad_.empty()) {
    const auto declare = [&](const char* what, const char* help) {
      std::vector<SeriesInfo> infos;
      for (const std::string& tensor : tensors_) {
        infos.push_back({"tensor/" + tensor + "/" + what, "", "", help});
      }
      return sink_.add_series(infos);
    };
    tensor_grad_ = declare("grad_norm", "L2 norm of the tensor's gradient after clipping");
    tensor_weight_ = declare("weight_norm", "L2 norm of the tensor's weights");
    tensor_update_ = declare("update_norm", "L2 norm of the change of the tensor's weights");
    tensor_trust_ = declare("trust", "trust ratio of the tensor");
  }
  put_values(v, tensor_grad_, report.tensors.grad);
  put_values(v, tensor_weight_, report.tensors.weight);
  put_values(v, tensor_update_, report.tensors.update);
  if (any_but(report.tensor_trust, 1)) {
    put_values(v, tensor_trust_, report.tensor_trust);
  }
}

}  // namespace batchscope::train
