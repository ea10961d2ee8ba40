#include "app/build_model.h"
#include "app/engine_commands.h"
#include "engine/contract/error.h"
#include "engine/data/make_dataset.h"
#include "engine/train/trainer.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <unistd.h>

namespace batchscope::app {
namespace {

struct EvalArguments {
  std::string checkpoint, annotations, images, out, device = "cpu";
  bool json = false;
  std::int64_t batch = 0;
};

void report(const train::EvalResult& result, const EvalArguments& arguments) {
  nlohmann::json object = result.metrics;
  object["pictures"] = result.pictures;
  object["seconds"] = result.seconds;
  if (!arguments.out.empty()) {
    std::ofstream file(arguments.out);
    file << object.dump(2) << "\n";
    if (!file.flush()) {
      throw contract::StorageError("Could not write " + arguments.out + ".");
    }
  }
  if (arguments.json && arguments.out.empty()) {
    std::cout << object.dump(2) << "\n";
    return;
  }
  for (const char* name :
       {"AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"}) {
    std::printf("%-6s %.4f\n", name, result.metrics.at(name));
  }
  std::printf("%lld pictures in %.1f s\n", static_cast<long long>(result.pictures), result.seconds);
}

void evaluate_checkpoint(const EvalArguments& arguments) {
  const std::filesystem::path file = arguments.checkpoint;
  const train::StateFile stored =
      train::decode_state(train::read_bytes(file), file.filename().string());
  auto [state, info] = train::from_words(stored.words, file.filename().string());
  contract::RunSpec spec = state.spec;
  if (!arguments.annotations.empty()) {
    spec.data.kind = "coco";
    spec.data.val_annotations = std::filesystem::absolute(arguments.annotations).string();
    spec.data.val_images = std::filesystem::absolute(arguments.images).string();
  }
  const auto dataset = train::make_validation_set(spec);
  if (dataset == nullptr) {
    throw contract::SpecError("--data",
                              "The checkpoint's run had no validation set: name one with --data "
                              "and --images.");
  }
  if (dataset->classes().size() != info.classes.size()) {
    throw contract::DataError(
        "The checkpoint was trained on " + std::to_string(info.classes.size()) + " classes, " +
        arguments.annotations + " has " + std::to_string(dataset->classes().size()) + ".");
  }
  const torch::Device device = device_of(arguments.device, 0);
  const auto model = build_model(spec, static_cast<std::int64_t>(info.classes.size()));
  train::load_model(*model, stored, file.filename().string());
  model->to(device);
  const auto group = train::Group::create({}, device);
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  std::int64_t blocks = 0;
  const train::EvalResult result = train::evaluate(
      *model,
      *dataset,
      *group,
      {.batch = arguments.batch,
       .transform = train::input_transform(*model, spec.data.min_size, spec.data.max_size),
       .device = device},
      [&] {
        if (terminal) {
          std::fprintf(
              stderr, "\revaluated %lld blocks of pictures", static_cast<long long>(++blocks));
        }
      });
  if (terminal) {
    std::fprintf(stderr, "\r\033[K");
  }
  report(result, arguments);
}

}  // namespace

void add_eval_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("eval", "COCO's box figures of a checkpoint");
  const auto arguments = std::make_shared<EvalArguments>();
  command->add_option("--checkpoint", arguments->checkpoint, "Checkpoint of a run")->required();
  CLI::Option* data = command->add_option(
      "--data", arguments->annotations, "COCO annotations; none: the run's own");
  CLI::Option* images = command->add_option("--images", arguments->images, "Folder of pictures");
  data->needs(images);
  images->needs(data);
  command->add_option("--batch", arguments->batch, "Pictures per forward pass");
  command->add_option("--device", arguments->device, "cpu or cuda");
  CLI::Option* json = command->add_option("--json", arguments->out, "To stdout, or to this file");
  json->expected(0, 1);
  command->callback([arguments, json] {
    arguments->json = json->count() > 0;
    evaluate_checkpoint(*arguments);
  });
}

}  // namespace batchscope::app
