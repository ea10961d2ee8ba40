#include "app/engine_commands.h"
#include "app/run_settings.h"
#include "app/weights_model.h"
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
  std::string checkpoint, model, weights, annotations, images, out, device = "cpu";
  std::vector<std::string> sets;
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
  for (const auto& [name, value] : result.metrics) {
    std::printf("%-15s %.4f\n", name.c_str(), value);
  }
  std::printf("%lld pictures in %.1f s\n", static_cast<long long>(result.pictures), result.seconds);
}

/// A detector and the pictures that it is tried on.
struct Subject {
  contract::RunSpec spec;
  std::shared_ptr<const train::Dataset> dataset;
  std::shared_ptr<models::Detector> model;
};

std::shared_ptr<const train::Dataset> pictures(contract::RunSpec& spec,
                                               const EvalArguments& arguments) {
  if (!arguments.annotations.empty()) {
    spec.data.kind = "coco";
    spec.data.val_annotations = std::filesystem::absolute(arguments.annotations).string();
    spec.data.val_images = std::filesystem::absolute(arguments.images).string();
  }
  auto dataset = train::make_validation_set(spec);
  if (dataset == nullptr) {
    throw contract::SpecError("--data",
                              "There is no validation set: name one with --data and --images.");
  }
  return dataset;
}

Subject of_checkpoint(const EvalArguments& arguments) {
  const std::filesystem::path file = arguments.checkpoint;
  const train::StateFile stored =
      train::decode_state(train::read_bytes(file), file.filename().string());
  auto [state, info] = train::from_words(stored.words, file.filename().string());
  Subject subject{state.spec, nullptr, nullptr};
  if (!arguments.annotations.empty()) {
    subject.spec.eval.max_pictures = 0;  // that limit was of the run's own set
  }
  apply_sets(subject.spec, arguments.sets);
  subject.dataset = pictures(subject.spec, arguments);
  if (subject.dataset->classes().size() != info.classes.size()) {
    throw contract::DataError(
        "The checkpoint was trained on " + std::to_string(info.classes.size()) + " classes, " +
        arguments.annotations + " has " + std::to_string(subject.dataset->classes().size()) + ".");
  }
  subject.model = build_model(subject.spec, class_counts(*subject.dataset));
  train::load_model(*subject.model, stored, file.filename().string());
  return subject;
}

Subject of_weights(const EvalArguments& arguments) {
  Subject subject;
  subject.spec = spec_of_weights(arguments.model, arguments.weights, arguments.sets);
  subject.dataset = pictures(subject.spec, arguments);
  subject.model = build_model(subject.spec, class_counts(*subject.dataset));
  load_all_weights(*subject.model, subject.spec, arguments.weights);
  return subject;
}

void evaluate(const EvalArguments& arguments) {
  const Subject subject =
      arguments.checkpoint.empty() ? of_weights(arguments) : of_checkpoint(arguments);
  const contract::RunSpec& spec = subject.spec;
  const auto& dataset = subject.dataset;
  const auto& model = subject.model;
  const torch::Device device = device_of(arguments.device, 0);
  model->to(device);
  const auto group = train::Group::create({}, device);
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  std::int64_t blocks = 0;
  const train::EvalResult result = train::evaluate(
      *model,
      *dataset,
      *group,
      {.max_pictures = spec.eval.max_pictures,
       .batch = arguments.batch,
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
  CLI::App* command = app.add_subcommand("eval",
                                         "Figures of a checkpoint, or of a model's weight file: "
                                         "boxes, masks, PQ, mIoU; of Open Images' "
                                         "data its own AP too");
  const auto arguments = std::make_shared<EvalArguments>();
  CLI::Option* checkpoint =
      command->add_option("--checkpoint", arguments->checkpoint, "Checkpoint of a run");
  CLI::Option* model = command->add_option("--model", arguments->model, "Name as model.name");
  CLI::Option* weights =
      command->add_option("--weights", arguments->weights, ".pth or .safetensors of that model");
  model->needs(weights);
  weights->needs(model);
  checkpoint->excludes(model);
  command
      ->add_option("--set",
                   arguments->sets,
                   "key=value over the run's or the model's spec (model.score_threshold, "
                   "eval.max_pictures, …)")
      ->take_all()
      ->expected(1);
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
    if (arguments->checkpoint.empty() && arguments->model.empty()) {
      throw contract::SpecError("--checkpoint",
                                "eval needs --checkpoint F, or --model NAME --weights F.");
    }
    arguments->json = json->count() > 0;
    evaluate(*arguments);
  });
}

}  // namespace batchscope::app
