#include "app/engine_commands.h"
#include "app/json_output.h"
#include "app/weight_fit.h"
#include "app/weight_report.h"
#include "app/weights_key.h"
#include "models/weights/convert_weights.h"

#include <cstdio>
#include <memory>

namespace batchscope::app {
namespace {

struct WeightArguments {
  std::string file, key, out, json;
  FitModel model;
  bool keep_names = false, all = false;
};

void inspect(const WeightArguments& arguments, bool json) {
  const models::TensorFile file(arguments.file, arguments.key);
  if (arguments.model.name.empty()) {
    json ? write_json(inspect_json(file), arguments.json)
         : static_cast<void>(std::fputs(inspect_text(file).c_str(), stdout));
    return;
  }
  const models::LoadReport report = fit_of_weights(file, arguments.model);
  if (json) {
    nlohmann::json object = inspect_json(file);
    object["fit"] = fit_json(report, arguments.model);
    write_json(object, arguments.json);
  } else {
    using Rows = models::LoadReport::Rows;
    std::printf("%s\n%s",
                report.summary().c_str(),
                report.table(arguments.all ? Rows::kAll : Rows::kUnfit).c_str());
  }
}

void add_inspect(CLI::App& weights) {
  CLI::App* command = weights.add_subcommand(
      "inspect",
      "Names, dtypes and shapes, without reading the tensors; with --model what a training takes");
  const auto arguments = std::make_shared<WeightArguments>();
  command->add_option("file", arguments->file, ".pth (zip or legacy) or .safetensors")->required();
  add_weights_key(*command, arguments->key);
  CLI::Option* model = command->add_option(
      "--model",
      arguments->model.name,
      "As model.name: a table of what is missing, unexpected and of another shape there");
  const auto with_model = [model](CLI::Option* option) { option->needs(model); };
  with_model(command
                 ->add_option("--num-classes",
                              arguments->model.num_classes,
                              "Classes with boxes, without background")
                 ->capture_default_str());
  with_model(command
                 ->add_option("--stuff-classes",
                              arguments->model.stuff_classes,
                              "Classes with pixels alone, of models that have any")
                 ->capture_default_str());
  with_model(
      command->add_option("--set", arguments->model.sets, "key=value of the model (model.norm=bn)")
          ->take_all()
          ->expected(1));
  with_model(command->add_flag("--all", arguments->all, "What matches, too"));
  CLI::Option* json = command->add_option(
      "--json", arguments->json, "To stdout, or to this file; with --model all names of each kind");
  json->expected(0, 1);
  command->callback([arguments, json] { inspect(*arguments, json->count() > 0); });
}

void add_convert(CLI::App& weights) {
  CLI::App* command = weights.add_subcommand(
      "convert",
      "The state_dict of a file as .safetensors or as .pth that Python's torch.load opens");
  const auto arguments = std::make_shared<WeightArguments>();
  command->add_option("file", arguments->file, ".pth (zip or legacy) or .safetensors")->required();
  command->add_option("out", arguments->out, "Ends in .safetensors, .pth or .pt")->required();
  add_weights_key(*command, arguments->key);
  command->add_flag("--keep-names",
                    arguments->keep_names,
                    "As in the file; else torchvision's current ones, without \"module.\"");
  command->callback([arguments] {
    models::format_of(arguments->out);  // refuses an ending before anything is read
    const models::TensorFile file(arguments->file, arguments->key);
    const models::ConvertReport done =
        models::convert_weights(file, arguments->out, {.keep_names = arguments->keep_names});
    if (const std::string others = models::also_holds(file.index().other_sets); !others.empty()) {
      std::fprintf(stderr, "%s\n", others.c_str());
    }
    std::printf("%s: %zu tensors, %llu bytes, %zu renamed\n",
                arguments->out.c_str(),
                done.tensors,
                static_cast<unsigned long long>(done.bytes),
                done.renamed);
  });
}

}  // namespace

void add_weights_command(CLI::App& app) {
  CLI::App* weights = app.add_subcommand("weights", "Weight files: .pth and .safetensors");
  weights->require_subcommand(1);
  add_inspect(*weights);
  add_convert(*weights);
}

}  // namespace batchscope::app
