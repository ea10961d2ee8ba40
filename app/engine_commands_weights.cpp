#include "app/engine_commands.h"
#include "app/json_output.h"
#include "app/weight_report.h"
#include "models/weights/convert_weights.h"

#include <cstdio>
#include <memory>

namespace batchscope::app {
namespace {

struct WeightArguments {
  std::string file, out, json;
  bool keep_names = false;
};

void add_inspect(CLI::App& weights) {
  CLI::App* command =
      weights.add_subcommand("inspect", "Names, dtypes and shapes, without reading the tensors");
  const auto arguments = std::make_shared<WeightArguments>();
  command->add_option("file", arguments->file, ".pth (zip or legacy) or .safetensors")->required();
  CLI::Option* json = command->add_option("--json", arguments->json, "To stdout, or to this file");
  json->expected(0, 1);
  command->callback([arguments, json] {
    const models::TensorFile file(arguments->file);
    if (json->count() > 0) {
      write_json(inspect_json(file), arguments->json);
    } else {
      std::fputs(inspect_text(file).c_str(), stdout);
    }
  });
}

void add_convert(CLI::App& weights) {
  CLI::App* command = weights.add_subcommand(
      "convert",
      "The state_dict of a file as .safetensors or as .pth that Python's torch.load opens");
  const auto arguments = std::make_shared<WeightArguments>();
  command->add_option("file", arguments->file, ".pth (zip or legacy) or .safetensors")->required();
  command->add_option("out", arguments->out, "Ends in .safetensors, .pth or .pt")->required();
  command->add_flag("--keep-names",
                    arguments->keep_names,
                    "As in the file; else torchvision's current ones, without \"module.\"");
  command->callback([arguments] {
    const models::TensorFile file(arguments->file);
    const models::ConvertReport done =
        models::convert_weights(file, arguments->out, {.keep_names = arguments->keep_names});
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
