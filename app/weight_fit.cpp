#include "app/weight_fit.h"

#include "app/build_model.h"
#include "app/run_settings.h"
#include "models/factory.h"

#include <algorithm>

namespace batchscope::app {
namespace {

nlohmann::json list_of(const std::vector<models::LoadReport::Mismatch>& pairs) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [name, in_file, in_model] : pairs) {
    list.push_back({{"name", name}, {"in_file", in_file}, {"in_model", in_model}});
  }
  return list;
}

contract::RunSpec spec_of(const models::TensorFile& file, const FitModel& model) {
  contract::RunSpec spec;
  spec.model.name = model.name;
  if (std::ranges::any_of(file.entries(), [](const auto& entry) {
        return entry.first.ends_with("running_mean");
      })) {
    spec.model.norm = "frozen";
  }
  apply_sets(spec, model.sets);
  return spec;
}

}  // namespace

models::LoadReport fit_of_weights(const models::TensorFile& file, const FitModel& model) {
  const models::TargetNeeds needs = models::target_needs(model.name);
  const auto detector =
      build_model(spec_of(file, model),
                  {needs.boxes ? model.num_classes : 0, needs.semantic ? model.stuff_classes : 0});
  return models::load_weights(*detector, file);
}

nlohmann::json fit_json(const models::LoadReport& report, const FitModel& model) {
  nlohmann::json renamed = nlohmann::json::array();
  for (const auto& [from, to] : report.renamed) {
    renamed.push_back({{"from", from}, {"to", to}});
  }
  return {{"model", model.name},
          {"complete", report.complete()},
          {"summary", report.summary()},
          {"matched", report.matched},
          {"missing", report.missing},
          {"unexpected", report.unexpected},
          {"wrong_shape", list_of(report.wrong_shape)},
          {"reinitialised", list_of(report.reinitialised)},
          {"renamed", std::move(renamed)},
          {"notes", report.notes}};
}

}  // namespace batchscope::app
