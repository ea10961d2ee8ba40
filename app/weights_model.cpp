#include "app/weights_model.h"

#include "app/run_settings.h"
#include "app/weights_eps.h"
#include "engine/contract/error.h"
#include "engine/train/state_file.h"
#include "engine/train/trainer.h"
#include "models/factory.h"
#include "models/weights/weight_error.h"

#include <algorithm>
#include <filesystem>
#include <iostream>

namespace batchscope::app {
namespace {

/// What a look at the names in a file tells.
struct FileKind {
  bool checkpoint = false, running_means = false;
};
FileKind kind_of(const std::string& file, const std::string& key) {
  try {
    const models::TensorFile tensors(file, key);
    const auto format = tensors.metadata().find("format");
    return {format != tensors.metadata().end() && format->second.starts_with("batchscope-state-"),
            std::any_of(tensors.entries().begin(), tensors.entries().end(), [](const auto& entry) {
              return entry.first.ends_with("running_mean");
            })};
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
ClassCounts count_classes(const contract::RunSpec& spec,
                          const std::string& file,
                          const std::string& key) {
  const models::TargetNeeds needs = models::target_needs(spec.model.name);
  ClassCounts counts{needs.boxes ? 1 : 0, needs.semantic ? 1 : 0};
  const auto one = build_model(spec, counts);
  const models::LoadReport loaded = load_weights(*one, file, key);
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

ModelClasses classes_of(const contract::RunSpec& spec,
                        const std::string& what,
                        const std::string& file,
                        const std::string& key) {
  const models::TargetNeeds needs = models::target_needs(spec.model.name);
  return {.origin = what + " '" + file + "'",
          .counts = count_classes(spec, file, key),
          .boxes = needs.boxes,
          .pixels = needs.semantic};
}

/// The names that a checkpoint has, of its data's classes, for those that its detector finds.
void name_classes(ModelClasses& classes, std::vector<std::string> names) {
  const auto count = static_cast<std::size_t>(classes.counts.things + classes.counts.stuff);
  if (names.size() < count || (classes.pixels && names.size() > count)) {
    throw contract::DataError("The " + classes.origin + " names " + std::to_string(names.size()) +
                              " classes; its predictors have " + std::to_string(count) + ".");
  }
  names.resize(count);  // stuff that a detector of boxes had passed over
  if (!classes.ids.empty()) {
    classes.ids.resize(count);
  }
  classes.names = std::move(names);
}

/// The spec of `name` with `sets` over it.
contract::RunSpec spec_of_weights(const std::string& name,
                                  const std::string& file,
                                  const std::vector<std::string>& sets) {
  contract::RunSpec spec;
  spec.model.name = name;
  spec.model.weights = file;
  apply_sets(spec, sets);
  return spec;
}

void load_all_weights(models::Detector& model,
                      const contract::RunSpec& spec,
                      const std::string& file) {
  const models::LoadReport loaded = load_weights(model, file, spec.model.weights_key);
  if (!loaded.complete()) {
    std::cerr << loaded.table();
    throw contract::DataError("The weights are not all of model " + spec.model.name +
                              " with norm " + spec.model.norm + ": " + loaded.summary());
  }
  if (!loaded.other_sets.empty()) {
    std::cerr << "The weights are of " << loaded.file << ". "
              << models::also_holds(loaded.other_sets) << "\n";
  }
}

/// asked_name: what the checkpoint has to be of; empty: any model.
WeightsModel open_checkpoint(const std::string& file,
                             const std::string& asked_name,
                             const std::vector<std::string>& sets) {
  if (is_set(sets, "model.weights_key")) {
    throw contract::SpecError("model.weights_key",
                              "model.weights_key is of files with several sets of weights; the "
                              "checkpoint '" +
                                  file + "' of a run has one.");
  }
  const std::string origin = std::filesystem::path(file).filename().string();
  const train::StateFile stored = train::decode_state(train::read_bytes(file), origin);
  auto [state, info] = train::from_words(stored.words, origin);
  if (!asked_name.empty() && state.spec.model.name != asked_name) {
    throw contract::DataError("The checkpoint '" + file + "' is of model " + state.spec.model.name +
                              "; expected " + asked_name + ".");
  }
  WeightsModel result{std::move(state.spec), {}, nullptr};
  apply_sets(result.spec, sets);
  result.classes = classes_of(result.spec, "checkpoint", file, {});
  result.classes.ids = std::move(info.category_ids);
  name_classes(result.classes, std::move(info.classes));
  result.model = build_model(result.spec, result.classes.counts);
  train::load_model(*result.model, stored, origin);
  return result;
}

}  // namespace

bool is_set(const std::vector<std::string>& sets, const std::string& key) {
  return std::any_of(sets.begin(), sets.end(), [&key](const std::string& text) {
    return text.starts_with(key + "=");
  });
}

WeightsModel model_of_weights(const std::string& name,
                              const std::string& file,
                              const std::vector<std::string>& sets) {
  WeightsModel result{spec_of_weights(name, file, sets), {}, nullptr};
  const std::string key = result.spec.model.weights_key;
  const FileKind kind = kind_of(file, key);
  if (kind.checkpoint) {
    return open_checkpoint(file, name, sets);
  }
  if (kind.running_means && !is_set(sets, "model.norm")) {
    result.spec.model.norm = "frozen";
  }
  if (!result.spec.model.norm_eps && weights_eps(result.spec.model) == 0.0) {
    std::cerr << "By its name, '" << file
              << "' is of torchvision's COCO_V1 weights: the frozen norms have eps 0.\n";
  }
  result.classes = classes_of(result.spec, "weight file", file, key);
  result.model = build_model(result.spec, result.classes.counts);
  load_all_weights(*result.model, result.spec, file);
  return result;
}

WeightsModel model_of_checkpoint(const std::string& file, const std::vector<std::string>& sets) {
  return open_checkpoint(file, {}, sets);
}

}  // namespace batchscope::app
