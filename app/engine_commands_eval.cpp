#include "app/engine_commands.h"
#include "app/json_output.h"
#include "app/relabelled_detector.h"
#include "app/terminal_text.h"
#include "app/weights_key.h"
#include "app/weights_model.h"
#include "engine/contract/error.h"
#include "engine/data/make_dataset.h"
#include "engine/train/evaluator.h"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <unistd.h>

namespace batchscope::app {
namespace {

struct EvalArguments {
  std::string checkpoint, model, weights, weights_key, annotations, images, out, device = "auto";
  std::vector<std::string> sets;
  bool json = false;
  std::int64_t batch = 0;
};

void report(const train::EvalResult& result, const EvalArguments& arguments) {
  if (arguments.json) {
    nlohmann::json object = result.metrics;
    object["pictures"] = result.pictures;
    object["seconds"] = result.seconds;
    write_json(object, arguments.out);
    if (arguments.out.empty()) {
      return;
    }
  }
  for (const auto& [name, value] : result.metrics) {
    std::printf("%-15s %s\n", name.c_str(), figure_text(value).c_str());
  }
  std::printf("%lld pictures in %.1f s\n", static_cast<long long>(result.pictures), result.seconds);
}

/// A detector and the pictures that it is tried on.
struct Subject {
  contract::RunSpec spec;
  std::shared_ptr<const train::Dataset> dataset;
  std::shared_ptr<models::Detector> model;
};

/// COCO instances in the place of whatever the spec's data are.
void use_coco(contract::DataSection& data, const EvalArguments& arguments) {
  data.kind = "coco";
  data.masks = false;  // unless the model asks for them
  for (std::string* path : {&data.annotations,
                            &data.images,
                            &data.segments,
                            &data.list,
                            &data.val_segments,
                            &data.val_list,
                            &data.classes,
                            &data.hierarchy,
                            &data.val_image_labels}) {
    path->clear();
  }
  data.val_annotations = std::filesystem::absolute(arguments.annotations).string();
  data.val_images = std::filesystem::absolute(arguments.images).string();
}

Subject subject_of(const EvalArguments& arguments) {
  WeightsModel made =
      arguments.checkpoint.empty()
          ? model_of_weights(arguments.model,
                             arguments.weights,
                             with_weights_key(arguments.sets, arguments.weights_key))
          : model_of_checkpoint(arguments.checkpoint, arguments.sets);
  const bool own_data = arguments.annotations.empty();
  if (!own_data) {
    use_coco(made.spec.data, arguments);
    if (!is_set(arguments.sets, "eval.max_pictures")) {
      made.spec.eval.max_pictures = 0;  // that limit was of the run's own set
    }
  }
  auto dataset = train::make_validation_set(made.spec);
  if (dataset == nullptr) {
    throw contract::SpecError("--data",
                              "There is no validation set: name one with --data and --images.");
  }
  const ClassMatch match =
      match_classes(made.classes,
                    train::class_list(*dataset),
                    own_data ? "the validation set" : "'" + arguments.annotations + "'");
  if (!match.note.empty()) {
    std::fprintf(stderr, "%s\n", match.note.c_str());
  }
  if (!match.same()) {
    made.model = std::make_shared<RelabelledDetector>(made.model, match.labels);
  }
  return {std::move(made.spec), std::move(dataset), std::move(made.model)};
}

void evaluate(const EvalArguments& arguments) {
  if (!arguments.out.empty()) {
    require_writable(arguments.out, "--json");
  }
  const Subject subject = subject_of(arguments);
  const contract::RunSpec& spec = subject.spec;
  const auto& dataset = subject.dataset;
  const auto& model = subject.model;
  const torch::Device device = device_of(arguments.device, 0);
  model->to(device);
  const auto group = train::Group::create({}, device);
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  const auto begin = std::chrono::steady_clock::now();
  const train::EvalResult result = train::evaluate(
      *model,
      *dataset,
      *group,
      {.max_pictures = spec.eval.max_pictures,
       .batch = arguments.batch,
       .max_broken = spec.data.max_broken,
       .transform = model->input_transform(),
       .device = device},
      [&] {
        if (terminal) {
          const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
          std::fprintf(stderr, "\revaluating, %.0f s", spent.count());
        }
      });
  if (terminal) {
    std::fprintf(stderr, "\r\033[K");
  }
  for (const std::string& why : result.left_out) {
    std::fprintf(stderr, "A picture is left out: %s\n", why.c_str());
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
  add_weights_key(*command, arguments->weights_key)->needs(weights);
  command
      ->add_option("--set",
                   arguments->sets,
                   "key=value over the run's or the model's spec (model.score_threshold, "
                   "eval.max_pictures, …)")
      ->take_all()
      ->expected(1);
  CLI::Option* data = command->add_option(
      "--data",
      arguments->annotations,
      "COCO instances, of the classes of the run or of the file; none: the run's own set");
  CLI::Option* images = command->add_option("--images", arguments->images, "Folder of pictures");
  data->needs(images);
  images->needs(data);
  command->add_option("--batch", arguments->batch, "Pictures per forward pass");
  command->add_option("--device", arguments->device, "auto (cuda where there is one), cpu or cuda");
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
