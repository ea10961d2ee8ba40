#include "app/weights_model.h"

#include "app/run_settings.h"
#include "engine/contract/error.h"
#include "models/weights/weight_error.h"

#include <algorithm>
#include <iostream>

namespace batchscope::app {
namespace {

bool has_running_means(const std::string& file) {
  try {
    const models::TensorFile tensors(file);
    return std::any_of(tensors.entries().begin(), tensors.entries().end(), [](const auto& entry) {
      return entry.first.ends_with("running_mean");
    });
  } catch (const models::WeightError& error) {
    throw contract::DataError(error.what());
  }
}

std::int64_t rows(const models::Detector& model, const std::string& name) {
  const auto parameters = model.named_parameters();
  const torch::Tensor* tensor = parameters.find(name);
  return tensor == nullptr ? 0 : tensor->size(0);
}

/// Where predictors have `own` outputs with `from` classes and `next` with one more: how many
/// classes give `found` outputs; -1: no count does.
std::int64_t solve(std::int64_t from, std::int64_t own, std::int64_t next, std::int64_t found) {
  const std::int64_t slope = next - own;
  return slope > 0 && (found - own) % slope == 0 ? from + (found - own) / slope : -1;
}

void agree(std::int64_t& count, std::int64_t other, bool& known, const std::string& file) {
  if (other < 1 || (known && other != count)) {
    throw contract::DataError("The predictors in '" + file +
                              "' do not agree on a number of classes of this model.");
  }
  count = other;
  known = true;
}

/// The outputs of every predictor are linear in the number of classes: models of one class and of
/// two tell the line.
ClassCounts count_classes(const contract::RunSpec& spec, const std::string& file) {
  const models::TargetNeeds needs = models::target_needs(spec.model.name);
  ClassCounts counts{needs.boxes ? 1 : 0, needs.semantic ? 1 : 0};
  const auto one = build_model(spec, counts);
  const models::LoadReport loaded = load_weights(*one, file);
  const auto more_things = needs.boxes ? build_model(spec, {2, counts.stuff}) : one;
  const auto more_stuff = needs.semantic ? build_model(spec, {counts.things, 2}) : one;
  bool things_known = false, stuff_known = false;
  for (const auto& predictor : loaded.reinitialised) {
    const std::int64_t own = predictor.in_model[0], found = predictor.in_file[0];
    const std::int64_t next_thing = rows(*more_things, predictor.name);
    if (next_thing > own) {
      agree(counts.things, solve(1, own, next_thing, found), things_known, file);
    } else {
      agree(
          counts.stuff, solve(1, own, rows(*more_stuff, predictor.name), found), stuff_known, file);
    }
  }
  return counts;
}

}  // namespace

contract::RunSpec spec_of_weights(const std::string& name,
                                  const std::string& file,
                                  const std::vector<std::string>& sets) {
  contract::RunSpec spec;
  spec.model.name = name;
  spec.model.weights = file;
  const bool norm_given = std::any_of(
      sets.begin(), sets.end(), [](const std::string& s) { return s.starts_with("model.norm="); });
  if (!norm_given && has_running_means(file)) {
    spec.model.norm = "frozen";
  }
  apply_sets(spec, sets);
  return spec;
}

void load_all_weights(models::Detector& model,
                      const contract::RunSpec& spec,
                      const std::string& file) {
  const models::LoadReport loaded = load_weights(model, file);
  if (!loaded.complete()) {
    std::cerr << loaded.table();
    throw contract::DataError("The weights are not all of model " + spec.model.name +
                              " with norm " + spec.model.norm + ": " + loaded.summary());
  }
}

WeightsModel model_of_weights(const std::string& name,
                              const std::string& file,
                              const std::vector<std::string>& sets) {
  WeightsModel result{spec_of_weights(name, file, sets), {}, nullptr};
  result.classes = count_classes(result.spec, file);
  result.model = build_model(result.spec, result.classes);
  load_all_weights(*result.model, result.spec, file);
  return result;
}

}  // namespace batchscope::app
