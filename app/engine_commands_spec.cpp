#include "app/engine_commands.h"
#include "app/json_output.h"
#include "app/start_check.h"
#include "engine/contract/error.h"
#include "engine/contract/run_spec.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>

namespace batchscope::app {
namespace {

struct SpecArguments {
  std::string name;
  std::vector<std::string> sets;
  std::string device = "cpu";
  bool json = false, deep = false;
};

void show(const SpecArguments& arguments) {
  if (arguments.sets.empty()) {
    const auto names = contract::preset_names();
    if (std::find(names.begin(), names.end(), arguments.name) != names.end()) {
      std::cout << contract::preset_toml(arguments.name);
      return;
    }
  }
  contract::RunSpec spec = contract::load_spec(arguments.name);
  apply_sets(spec, arguments.sets);
  std::cout << contract::to_toml(spec);
}

nlohmann::json set_json(const train::Dataset* set) {
  if (set == nullptr) {
    return nullptr;
  }
  const ClassCounts classes = class_counts(*set);
  return {{"pictures", set->size()}, {"things", classes.things}, {"stuff", classes.stuff}};
}

std::string set_text(const train::Dataset& set) {
  const ClassCounts classes = class_counts(set);
  return std::to_string(set.size()) + " pictures, " + std::to_string(classes.things) +
         " classes with boxes, " + std::to_string(classes.stuff) + " without";
}

std::string batch_text(const contract::BatchSection& batch) {
  return "effective batch " + std::to_string(batch.micro) + " x " +
         std::to_string(batch.accumulation) + " x " + std::to_string(batch.ranks) + " = " +
         std::to_string(batch.effective());
}

void print_start(const StartCheck& start) {
  std::cout << "training data: " << set_text(*start.data.training) << "\n"
            << "validation data: "
            << (start.data.validation ? set_text(*start.data.validation) : "none") << "\n"
            << "model: " << start.parameters << " parameters\n"
            << "weights: " << (start.weights.empty() ? "random start" : start.weights) << "\n"
            << "length: " << start.plan.steps << " steps, " << start.plan.total_images
            << " pictures\n";
  for (const std::string& warning : start.data.warnings) {
    std::cout << "warning: " << warning << "\n";
  }
}

/// Throws what refuses the spec.
nlohmann::json checked(const SpecArguments& arguments) {
  contract::RunSpec spec = contract::load_spec(arguments.name);
  apply_sets(spec, arguments.sets);
  contract::validate(spec);
  nlohmann::json object = {{"ok", true}, {"effective_batch", spec.batch.effective()}};
  std::optional<StartCheck> start;
  if (arguments.deep) {
    start = check_start(spec, arguments.device);
    object["training"] = set_json(start->data.training.get());
    object["validation"] = set_json(start->data.validation.get());
    object["parameters"] = start->parameters;
    object["weights"] = start->weights;
    object["steps"] = start->plan.steps;
    object["images"] = start->plan.total_images;
    object["warnings"] = start->data.warnings;
  }
  if (!arguments.json) {
    std::cout << arguments.name << ": ok, " << batch_text(spec.batch) << "\n";
    if (start) {
      print_start(*start);
    }
  }
  return object;
}

void check(const SpecArguments& arguments) {
  const auto refused = [&](const contract::Error& error, const std::string& field) {
    if (arguments.json) {
      write_json({{"ok", false}, {"field", field}, {"error", error.what()}}, "");
    }
  };
  try {
    const nlohmann::json object = checked(arguments);
    if (arguments.json) {
      write_json(object, "");
    }
  } catch (const contract::SpecError& error) {
    refused(error, error.field());
    throw;
  } catch (const contract::Error& error) {
    refused(error, "");
    throw;
  }
}

void schema(const SpecArguments& arguments) {
  if (arguments.json) {
    nlohmann::json keys = nlohmann::json::array();
    for (const contract::KeyInfo& key : contract::schema()) {
      keys.push_back({{"key", key.key},
                      {"type", key.type},
                      {"default", key.fallback},
                      {"range", key.range},
                      {"help", key.help}});
    }
    std::cout << keys.dump(2) << "\n";
    return;
  }
  for (const contract::KeyInfo& key : contract::schema()) {
    std::printf("%-30s %-16s %-22s %s%s%s\n",
                key.key.c_str(),
                key.type.c_str(),
                key.fallback.c_str(),
                key.help.c_str(),
                key.range.empty() ? "" : "; ",
                key.range.c_str());
  }
}

}  // namespace

void add_spec_command(CLI::App& app) {
  CLI::App* spec = app.add_subcommand("spec", "Presets and the keys of a spec");
  spec->require_subcommand(1);
  spec->add_subcommand("presets", "Names of the presets")->callback([] {
    for (const std::string& name : contract::preset_names()) {
      std::cout << name << "\n";
    }
  });
  const auto arguments = std::make_shared<SpecArguments>();
  const auto with_name = [&](const char* name, const char* help) {
    CLI::App* command = spec->add_subcommand(name, help);
    command->add_option("spec", arguments->name, "Spec file or preset")->required();
    command->add_option("--set", arguments->sets, "key=value, over the spec")
        ->take_all()
        ->expected(1);
    return command;
  };
  with_name("show", "Print a preset, or a spec in canonical form")->callback([arguments] {
    show(*arguments);
  });
  CLI::App* checks = with_name("check", "Check a spec file");
  checks->add_flag(
      "--deep",
      arguments->deep,
      "Do all that train does before its first update: data, pictures, model and weights");
  checks->add_option("--device", arguments->device, "cpu or cuda, for --deep")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  checks->add_flag("--json", arguments->json, "As a JSON object, also of what refuses the spec");
  checks->callback([arguments] { check(*arguments); });
  CLI::App* keys = spec->add_subcommand("schema", "Every key with type, default and meaning");
  keys->add_flag("--json", arguments->json, "As a JSON array");
  keys->callback([arguments] { schema(*arguments); });
}

}  // namespace batchscope::app
