#include "app/build_model.h"
#include "app/engine_commands.h"
#include "engine/contract/error.h"
#include "engine/train/replay.h"

#include <cstdio>
#include <memory>

namespace batchscope::app {
namespace {

struct ReplayArguments {
  std::string spec, tensors, out, device = "cpu";
  std::vector<std::string> sets;
};

train::ReplaySummary replayed(const contract::RunSpec& spec, const ReplayArguments& arguments) {
  try {
    return train::replay(spec, arguments.tensors, arguments.out, device_of(arguments.device, 0));
  } catch (const contract::SpecError& error) {
    throw contract::located(error, arguments.spec);
  }
}

void play(const ReplayArguments& arguments) {
  contract::RunSpec spec = contract::load_spec(arguments.spec);
  apply_sets(spec, arguments.sets);
  const train::ReplaySummary done = replayed(spec, arguments);
  for (const std::string& event : done.events) {
    std::printf("%s\n", event.c_str());
  }
  std::printf("%lld steps of %lld tensors in %lld modules, %lld skipped, %lld measured: %s\n",
              static_cast<long long>(done.steps),
              static_cast<long long>(done.tensors),
              static_cast<long long>(done.modules),
              static_cast<long long>(done.skipped),
              static_cast<long long>(done.measured),
              arguments.out.c_str());
}

}  // namespace

void add_optim_command(CLI::App& app) {
  CLI::App* optim = app.add_subcommand("optim", "The optimizers by themselves");
  optim->require_subcommand(1);
  CLI::App* command = optim->add_subcommand(
      "replay", "Play stored gradients through the optimizer of a spec (docs/optim-replay.md)");
  const auto arguments = std::make_shared<ReplayArguments>();
  command->add_option("--spec", arguments->spec, "Spec file or preset")->required();
  command
      ->add_option("--tensors",
                   arguments->tensors,
                   "safetensors: param/NAME and grad/T/NAME, or grad_a/T/NAME and grad_b/T/NAME")
      ->required();
  command
      ->add_option("--out",
                   arguments->out,
                   "safetensors: param/T/NAME, trust/T/NAME, mu/T, d/T of every step")
      ->required();
  command->add_option("--set", arguments->sets, "key=value, over the spec")
      ->take_all()
      ->expected(1);
  command->add_option("--device", arguments->device, "cpu or cuda");
  command->callback([arguments] { play(*arguments); });
}

}  // namespace batchscope::app
