#include "app/start_check.h"

#include "app/weights_eps.h"
#include "engine/data/data_check.h"
#include "engine/data/make_dataset.h"
#include "engine/train/plan_options.h"

namespace batchscope::app {

StartData open_data(const contract::RunSpec& spec, bool look) {
  StartData data;
  data.training = train::make_training_set(spec);
  data.validation = train::make_validation_set(spec, data.training);
  if (look) {
    data.warnings = train::preflight(*data.training, data.validation.get(), spec.data.max_broken);
  }
  return data;
}

StartCheck check_start(contract::RunSpec spec, const std::string& device) {
  contract::validate(spec);
  spec.model.norm_eps = weights_eps(spec.model);
  device_of(device, 0);
  StartCheck check;
  check.data = open_data(spec, true);
  const StartModel start = start_model(spec, class_counts(*check.data.training));
  for (const torch::Tensor& parameter : start.model->parameters()) {
    check.parameters += parameter.numel();
  }
  check.weights = start.loaded ? start.loaded->summary() : "";
  train::check_trainable(spec);
  const std::int64_t pictures = check.data.training->size();
  check.plan = contract::resolve(spec, pictures);
  for (const std::string& warning : check.data.training->warnings()) {
    check.data.warnings.push_back("Training data: " + warning);
  }
  for (const std::string& warning : contract::plan_warnings(spec, check.plan)) {
    check.data.warnings.push_back(warning);
  }
  if (spec.batch.effective() > pictures) {
    check.data.warnings.push_back("An update takes " + std::to_string(spec.batch.effective()) +
                                  " pictures, more than the " + std::to_string(pictures) +
                                  " of the training set: it sees pictures more than once.");
  }
  return check;
}

}  // namespace batchscope::app
