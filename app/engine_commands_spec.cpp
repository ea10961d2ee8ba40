#include "app/engine_commands.h"
#include "engine/contract/error.h"
#include "engine/contract/run_spec.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>

namespace batchscope::app {
namespace {

struct SpecArguments {
  std::string name;
  std::vector<std::string> sets;
  bool json = false;
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

void check(const SpecArguments& arguments) {
  contract::RunSpec spec = contract::load_spec(arguments.name);
  apply_sets(spec, arguments.sets);
  contract::validate(spec);
  std::cout << arguments.name << ": ok, effective batch " << spec.batch.micro << " x "
            << spec.batch.accumulation << " x " << spec.batch.ranks << " = "
            << spec.batch.effective() << "\n";
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
  with_name("check", "Check a spec file")->callback([arguments] { check(*arguments); });
  CLI::App* keys = spec->add_subcommand("schema", "Every key with type, default and meaning");
  keys->add_flag("--json", arguments->json, "As a JSON array");
  keys->callback([arguments] { schema(*arguments); });
}

}  // namespace batchscope::app
