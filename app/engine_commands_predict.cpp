#include "app/engine_commands.h"
#include "app/prediction_files.h"
#include "app/weights_model.h"
#include "engine/contract/error.h"
#include "engine/data/image_file.h"
#include "engine/data/loader.h"
#include "engine/metrics/panoptic_files.h"
#include "engine/train/draw_objects.h"
#include "engine/train/evaluator.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <unistd.h>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;

struct PredictArguments {
  std::string model, weights, images, out, draw, maps, categories, device = "cpu";
  std::vector<std::string> sets;
  double score_threshold = 0, draw_threshold = 0.5;
};

/// Names of the JPEG and PNG files of a folder, sorted.
std::vector<std::string> pictures_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::string ending = entry->path().extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) {
      return static_cast<char>(std::tolower(c));
    });
    if (ending == ".jpg" || ending == ".jpeg" || ending == ".png") {
      names.push_back(entry->path().filename().string());
    }
  }
  if (error) {
    throw contract::DataError("The picture folder '" + folder +
                              "' cannot be read: " + error.message() + ".");
  }
  if (names.empty()) {
    throw contract::DataError("The picture folder '" + folder + "' has no JPEG or PNG pictures.");
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Ids and names of the labels 1…C: those of --categories by rising id, else the labels themselves.
std::vector<train::PanopticCategory> categories_of(const PredictArguments& arguments,
                                                   const ClassCounts& classes) {
  const std::int64_t count = classes.things + classes.stuff;
  std::vector<train::PanopticCategory> categories;
  if (arguments.categories.empty()) {
    for (std::int64_t label = 1; label <= count; ++label) {
      categories.push_back({label, "class " + std::to_string(label), label <= classes.things});
    }
    return categories;
  }
  categories = train::read_categories(arguments.categories);
  if (static_cast<std::int64_t>(categories.size()) != count) {
    throw contract::DataError("The file '" + arguments.categories + "' has " +
                              std::to_string(categories.size()) + " categories; the weights have " +
                              std::to_string(count) + " classes.");
  }
  // As the data sets number them: things by rising id, then stuff.
  std::sort(categories.begin(), categories.end(), [](const auto& a, const auto& b) {
    return std::pair(!a.thing, a.id) < std::pair(!b.thing, b.id);
  });
  return categories;
}

/// What is done with every picture.
class Predictor {
 public:
  Predictor(const PredictArguments& arguments, WeightsModel subject)
      : arguments_(arguments),
        subject_(std::move(subject)),
        device_(device_of(arguments.device, 0)),
        categories_(categories_of(arguments, subject_.classes)),
        transform_(train::input_transform(
            *subject_.model, subject_.spec.data.min_size, subject_.spec.data.max_size)) {
    subject_.model->to(device_);
    subject_.model->eval();
    for (const auto& category : categories_) {
      names_[category.id] = category.name;
    }
  }

  train::FoundObjects predict(const torch::Tensor& image, std::int64_t id) const {
    const train::PreparedPicture prepared = train::prepare_picture(image, transform_);
    const torch::Tensor batch =
        train::pad_batch({prepared.image}, transform_.size_divisor).to(device_);
    const models::Detection detection =
        subject_.model->detect(batch, {{prepared.image.size(1), prepared.image.size(2)}}).at(0);
    train::FoundObjects found =
        train::found_objects(detection,
                             {id, image.size(1), image.size(2), prepared.scale_x, prepared.scale_y},
                             [this](std::int64_t label) {
                               return categories_.at(static_cast<std::size_t>(label - 1)).id;
                             });
    const auto below =
        std::find_if(found.objects.begin(), found.objects.end(), [this](const auto& d) {
          return d.score < arguments_.score_threshold;
        });  // they come best first
    const auto kept = static_cast<std::size_t>(below - found.objects.begin());
    found.objects.resize(kept);
    found.masks.resize(std::min(found.masks.size(), kept));
    return found;
  }

  void draw(const torch::Tensor& image,
            const train::FoundObjects& found,
            const std::string& name) const {
    train::draw_objects(
        image,
        found,
        {.score_threshold = std::max(arguments_.draw_threshold, arguments_.score_threshold),
         .name_of = [this](std::int64_t id) { return names_.at(id); }},
        (fs::path(arguments_.draw) / (fs::path(name).stem().string() + ".png")).string());
  }
  const std::vector<train::PanopticCategory>& categories() const { return categories_; }

 private:
  const PredictArguments& arguments_;
  WeightsModel subject_;
  torch::Device device_;
  std::vector<train::PanopticCategory> categories_;
  std::map<std::int64_t, std::string> names_;
  models::InputTransform transform_;
};

void make_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw contract::StorageError("The folder '" + folder + "' cannot be made: " + error.message() +
                                 ".");
  }
}

void predict(const PredictArguments& arguments) {
  const std::vector<std::string> names = pictures_in(arguments.images);
  Predictor predictor(arguments,
                      model_of_weights(arguments.model, arguments.weights, arguments.sets));
  if (!arguments.draw.empty()) {
    make_folder(arguments.draw);
  }
  ResultsFile results(arguments.out);
  std::optional<MapFiles> maps;
  if (!arguments.maps.empty()) {
    make_folder(arguments.maps);
    maps.emplace(arguments.maps, predictor.categories());
  }
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  std::size_t objects = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto id = static_cast<std::int64_t>(i) + 1;
    const torch::Tensor image =
        train::read_picture((fs::path(arguments.images) / names[i]).string());
    const train::FoundObjects found = predictor.predict(image, id);
    objects += found.objects.size();
    results.add(names[i], found);
    if (maps) {
      maps->add(names[i], id, found);
    }
    if (!arguments.draw.empty()) {
      predictor.draw(image, found, names[i]);
    }
    if (terminal) {
      std::fprintf(stderr, "\r%zu of %zu pictures", i + 1, names.size());
    }
  }
  if (terminal) {
    std::fprintf(stderr, "\r\033[K");
  }
  results.finish();
  if (maps) {
    maps->finish();
  }
  std::printf("%zu objects in %zu pictures: %s\n", objects, names.size(), arguments.out.c_str());
}

}  // namespace

void add_predict_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("predict", "Detect in the pictures of a folder, with a weight file");
  const auto arguments = std::make_shared<PredictArguments>();
  command->add_option("--model", arguments->model, "Name as model.name")->required();
  command
      ->add_option("--weights",
                   arguments->weights,
                   ".pth, .safetensors or a run's checkpoint; says how many classes there are")
      ->required();
  command->add_option("--images", arguments->images, "Folder of JPEG and PNG pictures")->required();
  command->add_option("--out", arguments->out, "COCO results file to write")->required();
  command->add_option(
      "--score-threshold", arguments->score_threshold, "Leave out what scores below it");
  command->add_option("--categories",
                      arguments->categories,
                      "COCO file whose categories name the classes; none: ids 1 to C");
  command->add_option(
      "--draw", arguments->draw, "Folder that gets the pictures with what is in them");
  command
      ->add_option("--draw-threshold", arguments->draw_threshold, "Draw objects from this score on")
      ->capture_default_str();
  command->add_option(
      "--maps",
      arguments->maps,
      "Folder that gets a PNG of labels per picture, of models that label pixels (panoptic ones "
      "with FOLDER.json beside it)");
  command->add_option("--set", arguments->sets, "key=value of the model's spec (model.norm, …)")
      ->take_all()
      ->expected(1);
  command->add_option("--device", arguments->device, "cpu or cuda");
  command->callback([arguments] { predict(*arguments); });
}

}  // namespace batchscope::app
