#include "engine/train/step_series.h"

namespace batchscope::train {
namespace {

using contract::SeriesInfo;
using Values = std::vector<std::pair<std::int32_t, double>>;

std::int32_t one(contract::TelemetrySink& sink,
                 const std::string& name,
                 const std::string& unit,
                 const std::string& help) {
  return sink.add_series({SeriesInfo{name, unit, "", help}}).at(0);
}

std::vector<std::int32_t> family(contract::TelemetrySink& sink,
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

void put(Values& values,
         const std::vector<std::int32_t>& series,
         const std::vector<double>& numbers) {
  for (std::size_t m = 0; m < series.size() && m < numbers.size(); ++m) {
    values.emplace_back(series[m], numbers[m]);
  }
}

bool any(const std::vector<double>& numbers) {
  for (const double number : numbers) {
    if (number != 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string loss_series_name(const std::string& loss_name) {
  return "loss/" + (loss_name.starts_with("loss_") ? loss_name.substr(5) : loss_name);
}

StepSeries::StepSeries(contract::TelemetrySink& sink,
                       const std::vector<std::string>& modules,
                       const std::vector<std::string>& loss_names) {
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
  d_ = family(sink, "d", modules, "noise fraction 1 - cos of the two half-batch gradients");
  mu_ = family(sink, "mu", modules, "AGVM's factor on the learning rate");
  noise_ = family(sink, "noise", modules, "simple noise scale tr(Sigma)/|G|^2 in pictures");
  noise_model_ = one(sink, "noise/model", "", "simple noise scale of the whole model in pictures");
  pmd_c_ = one(sink, "pmd_c", "", "PMD-LAMB's decay coefficient");
  beta1_ = one(sink, "beta1_eff", "", "beta1 times the coefficient");
  beta2_ = one(sink, "beta2_eff", "", "beta2 times the coefficient");
  n_eff_m_ = one(sink, "n_eff_m", "", "effective number of gradients in the first moment");
  n_eff_v_ = one(sink, "n_eff_v", "", "effective number of gradients in the second moment");
  m_norm_ = family(sink, "m_norm", modules, "norm of the first moment, bias corrected");
  v_norm_ = family(sink, "v_norm", modules, "norm of the second moment, bias corrected");
  grad_ = family(sink, "grad_norm", modules, "L2 norm of the module's gradient");
  weight_ = family(sink, "weight_norm", modules, "L2 norm of the module's weights");
  update_ = family(sink, "update_norm", modules, "L2 norm of the change of the weights");
  trust_ = family(sink, "trust", modules, "mean trust ratio over the adapted tensors");
  lr_eff_ = family(sink, "lr_eff", modules, "learning rate times mu times mean trust");
  ramp_ = family(sink, "ramp", modules, "factor that carries the learning rate over a switch");
}

contract::StepRecord StepSeries::record(const StepObservation& seen) const {
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
  put(v, parts_, seen.parts);
  const optim::StepReport& report = *seen.report;
  v.emplace_back(grad_norm_, report.grad_norm);
  v.emplace_back(clip_, report.clip_factor);
  const double pictures = static_cast<double>(seen.pictures);
  v.emplace_back(images_per_s_, seen.step_ms > 0 ? 1000 * pictures / seen.step_ms : 0);
  v.emplace_back(step_ms_, seen.step_ms);
  v.emplace_back(data_ms_, seen.data_ms);
  v.emplace_back(diagnostics_, seen.diagnostics_percent);
  v.emplace_back(batch_, pictures);
  if (!report.applied) {
    v.emplace_back(skipped_, 1);
  }
  if (seen.measured) {
    put(v, d_, seen.agvm->d());
    put(v, noise_, seen.agvm->noise_scale());
    v.emplace_back(noise_model_, seen.agvm->model_noise_scale());
  }
  if (seen.modulated) {
    put(v, mu_, seen.agvm->mu());
  }
  put(v, ramp_, seen.factor);
  if (!seen.modules) {
    return row;
  }
  put(v, grad_, report.module_grad_norm);
  if (!report.applied) {
    return row;
  }
  put(v, weight_, report.module_weight_norm);
  put(v, update_, report.module_update_norm);
  put(v, trust_, report.module_trust);
  put(v, lr_eff_, report.module_lr);
  put(v, m_norm_, report.module_m_norm);
  v.emplace_back(beta1_, report.beta1_eff);
  v.emplace_back(n_eff_m_, report.n_eff_m);
  if (any(report.module_v_norm)) {
    put(v, v_norm_, report.module_v_norm);
    v.emplace_back(beta2_, report.beta2_eff);
    v.emplace_back(n_eff_v_, report.n_eff_v);
    v.emplace_back(pmd_c_, report.pmd_c);
  }
  return row;
}

}  // namespace batchscope::train
