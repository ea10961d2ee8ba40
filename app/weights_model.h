#pragma once

#include "app/build_model.h"

#include <string>
#include <vector>

namespace batchscope::app {

/// A detector with nothing but a weight file to go by.
struct WeightsModel {
  contract::RunSpec spec;
  ClassCounts classes;
  std::shared_ptr<models::Detector> model;
};

/// The spec of `name` with `sets` over it ("model.norm=bn"). Unless they name a norm, it is frozen
/// for files with running means.
contract::RunSpec spec_of_weights(const std::string& name,
                                  const std::string& file,
                                  const std::vector<std::string>& sets);

/// Throws contract::DataError, after a table on stderr, unless every tensor of the model came from
/// the file.
void load_all_weights(models::Detector& model,
                      const contract::RunSpec& spec,
                      const std::string& file);

/// As many classes as the file's predictors have outputs for. Throws contract::DataError: the
/// predictors do not agree, or not all of the model is in the file.
WeightsModel model_of_weights(const std::string& name,
                              const std::string& file,
                              const std::vector<std::string>& sets);

}  // namespace batchscope::app
