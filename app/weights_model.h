#pragma once

#include "app/class_match.h"

#include <string>
#include <vector>

namespace batchscope::app {

/// A detector with nothing but a file to go by.
struct WeightsModel {
  contract::RunSpec spec;
  ModelClasses classes;
  std::shared_ptr<models::Detector> model;
};

/// Whether one of the "key=value" texts gives this key.
bool is_set(const std::vector<std::string>& sets, const std::string& key);

/// The detector `name` with `sets` over its spec ("model.norm=bn"), and as many classes as the
/// file's predictors have outputs for. Unless the sets name a norm, it is frozen for files with
/// running means. A run's checkpoint is opened by model_of_checkpoint(). Throws
/// contract::DataError: the predictors do not agree, not all of the model is in the file (after a
/// table on stderr), a checkpoint of another model.
WeightsModel model_of_weights(const std::string& name,
                              const std::string& file,
                              const std::vector<std::string>& sets);

/// The detector of a run as its spec has it, with `sets` over it. Throws contract::DataError: no
/// checkpoint, damaged, or one that the sets do not fit.
WeightsModel model_of_checkpoint(const std::string& file, const std::vector<std::string>& sets);

}  // namespace batchscope::app
