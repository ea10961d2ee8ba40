#include "app/run_settings.h"

#include "engine/contract/error.h"

#include <filesystem>
#include <map>
#include <set>

namespace batchscope::app {

void apply_sets(contract::RunSpec& spec, const std::vector<std::string>& sets) {
  for (const std::string& text : sets) {
    const std::size_t sign = text.find('=');
    if (sign == std::string::npos || sign == 0) {
      throw contract::SpecError(
          text, "--set takes key=value, such as optim.lr=0.01; found \"" + text + "\".");
    }
    contract::set_value(spec, text.substr(0, sign), text.substr(sign + 1));
  }
  contract::make_paths_absolute(spec, std::filesystem::current_path().string());
}

bool kept_in_spec(const std::string& key) {
  const auto in = [&](const char* section) { return key.starts_with(section); };
  static const std::set<std::string> kPlaces = {"data.annotations",
                                                "data.images",
                                                "data.segments",
                                                "data.list",
                                                "data.val_images",
                                                "data.val_segments",
                                                "data.val_list",
                                                "data.val_annotations",
                                                "data.classes",
                                                "data.hierarchy",
                                                "data.val_image_labels"};
  return in("run.") || in("eval.") || in("checkpoint.") || in("telemetry.") || in("guard.") ||
         in("distributed.") || kPlaces.contains(key) || key == "data.max_broken" ||
         key == "precision.threads" || key == "data.loader_threads" || key == "batch.ranks";
}

bool changed_by_command(const std::string& key) {
  return key.starts_with("optim.") || key == "batch.accumulation" || key == "schedule.steps";
}

std::vector<contract::CommandBody> commands_for(const std::vector<std::string>& sets) {
  static const std::set<std::string> kWords = {"state", "lr_mapping", "decay_mapping"};
  std::vector<contract::CommandBody> commands;
  std::map<std::string, std::string> optimizer, words;
  for (const std::string& text : sets) {
    const std::string key = text.substr(0, text.find('='));
    const std::string value = text.substr(text.find('=') + 1);
    if (key == "batch.accumulation") {
      commands.push_back(contract::make_command("accumulation", {{"value", value}}));
    } else if (key == "schedule.steps") {
      commands.push_back(contract::make_command("end", {{"step", value}}));
    } else if (key == "optim.name") {
      optimizer["name"] = value;
    } else if (key == "optim.lr") {
      optimizer["lr"] = value;
    } else if (key == "optim.agvm.enabled") {
      optimizer["agvm"] = value;
    } else if (key.starts_with("optim.")) {
      optimizer[key] = value;
    } else if (kWords.contains(key)) {
      words[key] = value;
    }
  }
  if (!optimizer.empty()) {
    optimizer.insert(words.begin(), words.end());
    commands.push_back(contract::make_command("optimizer", optimizer));
  }
  return commands;
}

std::string device_kind(const std::string& device) {
  return device.starts_with("cuda") ? "cuda" : "cpu";
}

}  // namespace batchscope::app
