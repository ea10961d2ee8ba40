#include "app/engine_commands.h"
#include "app/fan_command.h"
#include "app/run_control.h"
#include "app/terminal_text.h"
#include "engine/contract/error.h"
#include "storage/catalogue.h"
#include "storage/run_files.h"

#include <functional>
#include <iostream>
#include <map>
#include <memory>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;
using contract::CommandBody;

struct ControlArguments : ControlTarget {
  std::string value, name;
  bool now = false, dry_run = false;
  std::string agvm, lr, state, lr_mapping, decay_mapping, label, socket;
  std::vector<std::string> sets;
};

void print(const contract::Reply& reply) {
  if (reply.status) {
    const contract::StatusReport& s = *reply.status;
    std::cout << contract::to_string(s.state) << " (" << s.phase << "), step " << s.step << " of "
              << s.steps << ", " << s.images << " pictures, " << s.optimizer
              << (s.agvm ? " + agvm" : "") << ", lr " << s.lr << ", batch " << s.micro << " x "
              << s.accumulation << " x " << s.ranks << "\n";
    if (!s.trouble.empty()) {
      std::cout << "trouble: " << printable(s.trouble) << "\n";
    }
    return;
  }
  std::cout << "applied after step " << reply.step << "\n";
  if (!reply.detail.empty()) {
    std::cout << reply.detail << (reply.detail.back() == '\n' ? "" : "\n");
  }
}

int send(const ControlArguments& arguments, const CommandBody& body) {
  const fs::path folder = storage::find_run(arguments.library, arguments.run);
  const contract::Reply reply = call_run(folder, body, arguments.timeout, arguments.socket);
  if (arguments.json) {
    std::cout << contract::encode(contract::Report(reply)) << "\n";
  } else {
    print(reply);
  }
  return 0;
}

using Words = std::map<std::string, std::string>;

void put(Words& words, const std::string& key, const std::string& value) {
  if (!value.empty()) {
    words[key] = value;
  }
}

/// What --set gave, by key.
Words set_words(const ControlArguments& arguments) {
  Words words;
  for (const std::string& text : arguments.sets) {
    const std::size_t sign = text.find('=');
    if (sign == std::string::npos) {
      throw contract::SpecError(text, "--set takes key=value, found \"" + text + "\".");
    }
    words[text.substr(0, sign)] = text.substr(sign + 1);
  }
  return words;
}

CommandBody optimizer_command(const ControlArguments& arguments) {
  Words words = set_words(arguments);
  put(words, "name", arguments.name);
  put(words, "agvm", arguments.agvm);
  put(words, "lr", arguments.lr);
  put(words, "state", arguments.state);
  put(words, "lr_mapping", arguments.lr_mapping);
  put(words, "decay_mapping", arguments.decay_mapping);
  put(words, "dry_run", arguments.dry_run ? "true" : "");
  return contract::make_command("optimizer", words);
}

CommandBody shadow_command(const ControlArguments& arguments, const char* action) {
  Words words = set_words(arguments);
  put(words, "action", action);
  put(words, "name", arguments.name);
  put(words, "label", arguments.label);
  put(words, "lr", arguments.lr);
  return contract::make_command("shadow", words);
}

void add_optimizer(CLI::App& control,
                   const std::shared_ptr<ControlArguments>& arguments,
                   int& exit_code) {
  CLI::App* command = control.add_subcommand("optimizer", "Switch the optimizer");
  ControlArguments& a = *arguments;
  command->add_option("name", a.name, "sgd, adamw, lars, lamb or pmd_lamb; none: as it is");
  command->add_option("--agvm", a.agvm, "on or off");
  command->add_option("--lr", a.lr, "New base learning rate");
  command->add_option("--state", a.state, "carry, convert or reset");
  command->add_option("--lr-mapping", a.lr_mapping, "match_update, target_now or rewarmup");
  command->add_option("--decay-mapping", a.decay_mapping, "match, keep or target");
  command->add_option("--set", a.sets, "optim.key=value")->take_all()->expected(1);
  command->add_flag("--dry-run", a.dry_run, "Say what would change, and change nothing");
  command->callback(
      [arguments, &exit_code] { exit_code = send(*arguments, optimizer_command(*arguments)); });
}

void add_shadow(CLI::App& control,
                const std::shared_ptr<ControlArguments>& arguments,
                int& exit_code) {
  CLI::App* command = control.add_subcommand(
      "shadow", "Optimizers fed the same gradients that never touch the weights");
  command->require_subcommand(1);
  ControlArguments& a = *arguments;
  CLI::App* add = command->add_subcommand("add", "Add one, without history");
  add->add_option("name", a.name, "sgd, adamw, lars, lamb or pmd_lamb")->required();
  add->add_option("--label", a.label, "Name of its series; none: the optimizer's");
  add->add_option("--lr", a.lr, "Its base learning rate; none: the run's");
  add->add_option("--set", a.sets, "optim.key=value")->take_all()->expected(1);
  add->callback(
      [arguments, &exit_code] { exit_code = send(*arguments, shadow_command(*arguments, "add")); });
  CLI::App* remove = command->add_subcommand("remove", "Remove one");
  remove->add_option("label", a.label, "Its label")->required();
  remove->callback([arguments, &exit_code] {
    exit_code = send(*arguments, shadow_command(*arguments, "remove"));
  });
}

}  // namespace

void add_control_command(CLI::App& app, int& exit_code) {
  CLI::App* control = app.add_subcommand("control", "Steer a training that runs");
  const auto arguments = std::make_shared<ControlArguments>();
  arguments->library = storage::default_library();
  control->add_option("run", arguments->run, "Id, unique prefix, unique name or folder")
      ->required();
  control->add_option("--library", arguments->library, "Folder of runs");
  control->add_option("--timeout", arguments->timeout, "Seconds to wait for the answer")
      ->check(CLI::PositiveNumber);
  control->add_option(
      "--socket", arguments->socket, "Where a forwarded control socket of another machine is");
  control->add_flag("--json", arguments->json, "The reply as one JSON line");
  control->require_subcommand(1);
  control->fallthrough();
  const auto add = [&](const std::string& name,
                       const std::string& help,
                       const std::function<CommandBody()>& make) {
    CLI::App* command = control->add_subcommand(name, help);
    command->callback([arguments, make, &exit_code] { exit_code = send(*arguments, make()); });
    return command;
  };
  for (const auto& [name, help] :
       std::map<std::string, std::string>{{"status", "What the training is doing"},
                                          {"pause", "Pause at the next step boundary"},
                                          {"resume", "Go on after a pause"},
                                          {"checkpoint", "Save a checkpoint"},
                                          {"undo", "Go back to before the last change"}}) {
    add(name, help, [name = name] { return contract::make_command(name, {}); });
  }
  add("stop", "Save and stop", [arguments] {
    return contract::make_command("stop", {{"mode", arguments->now ? "now" : "save"}});
  })->add_flag("--now", arguments->now, "Without a checkpoint");
  for (const auto& [name, key, help] :
       {std::tuple{"lr", "value", "New base learning rate"},
        std::tuple{"accumulation", "value", "New number of micro-batches per rank and step"},
        std::tuple{"end", "step", "New last step"}}) {
    add(name,
        help,
        [arguments, name = std::string(name), key = std::string(key)] {
          return contract::make_command(name, {{key, arguments->value}});
        })
        ->add_option(key, arguments->value, help)
        ->required();
  }
  add_optimizer(*control, arguments, exit_code);
  add_shadow(*control, arguments, exit_code);
  add_fan_command(*control, arguments, exit_code);
}

}  // namespace batchscope::app
