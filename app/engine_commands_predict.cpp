#include "app/engine_commands.h"
#include "app/json_output.h"
#include "app/prediction_files.h"
#include "app/prediction_inputs.h"
#include "app/predictor.h"
#include "app/weights_key.h"
#include "app/written_classes.h"
#include "engine/contract/error.h"
#include "engine/data/broken_pictures.h"
#include "engine/data/image_file.h"
#include "models/factory.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <unistd.h>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;

struct PredictArguments {
  std::string model, weights, weights_key, images, out, draw, maps, categories, image_ids,
      device = "auto";
  std::vector<std::string> sets;
  double score_threshold = 0, draw_threshold = 0.5;
  bool json = false;
};

/// The places that are read and written, as require_separate() takes them.
std::vector<NamedPlace> places_of(const PredictArguments& a) {
  std::vector<NamedPlace> places = {{"--images", a.images, false},
                                    {"--weights", a.weights, false},
                                    {"--categories", a.categories, false},
                                    {"--image-ids", a.image_ids, false},
                                    {"--draw", a.draw, true},
                                    {"--maps", a.maps, true},
                                    {"--out", a.out, true}};
  if (!a.maps.empty() && models::target_needs(a.model).boxes) {
    places.push_back({"the JSON of --maps", MapFiles::json_of(a.maps), true});
  }
  return places;
}

PictureFolder pictures_of(const PredictArguments& a) {
  require_separate(places_of(a));
  require_writable(a.out, "--out");
  PictureFolder found = pictures_in(a.images);
  std::vector<InputPicture>& pictures = found.pictures;
  if (!a.image_ids.empty()) {
    const std::string note = take_image_ids(pictures, a.image_ids);
    if (!note.empty()) {
      std::fprintf(stderr, "%s\n", note.c_str());
    }
  }
  if (!a.draw.empty() || !a.maps.empty()) {
    require_own_pngs(pictures, a.images);
  }
  return found;
}

/// What is written, and what could not be.
class Outputs {
 public:
  Outputs(const PredictArguments& arguments, const ModelClasses& model, const ClassMatch& match)
      : arguments_(arguments) {
    if (!arguments.maps.empty()) {
      maps_.emplace(arguments.maps, model, match.classes);
    }
    if (!arguments.draw.empty()) {
      make_folder(arguments.draw);
    }
    results_.emplace(arguments.out);
  }

  void add(const InputPicture& picture, const Predictor& predictor) {
    ++pictures_;
    torch::Tensor image;
    train::FoundObjects found;
    if (!succeeds(picture, [&] {
          image = train::read_picture((fs::path(arguments_.images) / picture.name).string());
          found = predictor.predict(image, picture.id, arguments_.score_threshold);
        })) {
      broken_.push_back(picture.name);
      return;
    }
    objects_ += found.objects.size();
    results_->add(picture.name, found);
    if (maps_) {
      maps_->add(picture.name, picture.id, found);
    }
    if (!arguments_.draw.empty() && !succeeds(picture, [&] {
          predictor.draw(image,
                         found,
                         arguments_.draw_threshold,
                         (fs::path(arguments_.draw) / png_of(picture.name)).string());
        })) {
      ++undrawn_;
    }
  }

  void finish() {
    results_->finish();
    if (maps_) {
      maps_->finish();
    }
  }
  nlohmann::json summary() const;
  std::string text() const {
    return std::to_string(objects_) + " objects in " + std::to_string(pictures_ - broken_.size()) +
           " pictures: " + arguments_.out;
  }
  /// Throws contract::DataError for more broken pictures than `max_broken` allows.
  void require_all(double max_broken) const;

 private:
  /// What goes wrong with a picture is a line on stderr and false: the others go on.
  static bool succeeds(const InputPicture& picture, const std::function<void()>& work);

  const PredictArguments& arguments_;
  std::optional<ResultsFile> results_;
  std::optional<MapFiles> maps_;
  std::size_t pictures_ = 0, objects_ = 0, undrawn_ = 0;
  std::vector<std::string> broken_;
};

bool Outputs::succeeds(const InputPicture& picture, const std::function<void()>& work) {
  std::string sentence;
  try {
    work();
    return true;
  } catch (const contract::StorageError&) {
    throw;
  } catch (const contract::Error& error) {
    sentence = error.what();
  } catch (const std::exception& error) {
    sentence = "The picture '" + picture.name + "': " + error.what();
    sentence.resize(std::min(sentence.size(), sentence.find('\n')));  // torch adds a back trace
  }
  std::fprintf(stderr, "%s\n", sentence.c_str());
  return false;
}

nlohmann::json Outputs::summary() const {
  nlohmann::json files = {{"results", arguments_.out}};
  if (!arguments_.draw.empty()) {
    files["drawn"] = arguments_.draw;
  }
  if (maps_) {
    files["maps"] = arguments_.maps;
    if (!maps_->json().empty()) {
      files["panoptic"] = maps_->json();
    }
  }
  return {{"pictures", pictures_},
          {"detections", objects_},
          {"broken", broken_.size()},
          {"broken_pictures", broken_},
          {"not_drawn", undrawn_},
          {"files", std::move(files)}};
}

void Outputs::require_all(double max_broken) const {
  const auto of_all = [this](std::size_t count, const char* what) {
    return std::to_string(count) + " of " + std::to_string(pictures_) + " pictures could not be " +
           what;
  };
  const auto allowed = train::allowed_broken(static_cast<std::int64_t>(pictures_), max_broken);
  if (static_cast<std::int64_t>(broken_.size()) > allowed) {
    throw contract::DataError(of_all(broken_.size(), "used") + "; what is in the other " +
                              std::to_string(pictures_ - broken_.size()) + " is in '" +
                              arguments_.out + "'.");
  }
  if (undrawn_ > 0) {
    throw contract::DataError(of_all(undrawn_, "drawn") + "; what is in them is in '" +
                              arguments_.out + "'.");
  }
}

void predict(const PredictArguments& arguments) {
  const PictureFolder folder = pictures_of(arguments);
  const std::vector<InputPicture>& pictures = folder.pictures;
  const WeightsModel subject = model_of_weights(
      arguments.model, arguments.weights, with_weights_key(arguments.sets, arguments.weights_key));
  const ClassMatch match = written_classes(
      subject.classes, subject.spec.data, arguments.categories, arguments.image_ids);
  if (!match.note.empty()) {
    std::fprintf(stderr, "%s\n", match.note.c_str());
  }
  if (const std::string others = folder.passed_over(arguments.images); !others.empty()) {
    std::fprintf(stderr, "%s\n", others.c_str());
  }
  const Predictor predictor(subject, match, device_of(arguments.device, 0));
  Outputs outputs(arguments, subject.classes, match);
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    if (terminal) {
      std::fprintf(stderr, "\r\033[K%zu of %zu pictures\r", i + 1, pictures.size());
    }
    outputs.add(pictures[i], predictor);
  }
  if (terminal) {
    std::fprintf(stderr, "\r\033[K");
  }
  outputs.finish();
  if (arguments.json) {
    write_json(outputs.summary(), {});
  } else {
    std::printf("%s\n", outputs.text().c_str());
  }
  outputs.require_all(subject.spec.data.max_broken);
}

void add_inputs(CLI::App& command, PredictArguments& a) {
  command.add_option("--model", a.model, "Name as model.name")->required();
  command
      .add_option("--weights",
                  a.weights,
                  ".pth or .safetensors, which say how many classes there are, or a run's "
                  "checkpoint, which has its spec and names, too")
      ->required();
  add_weights_key(command, a.weights_key);
  command.add_option("--images", a.images, "Folder of JPEG and PNG pictures")->required();
  command.add_option("--categories",
                     a.categories,
                     "COCO file whose categories are the classes, or a text file with a name per "
                     "line; none: those that the checkpoint was trained on");
  command.add_option("--image-ids",
                     a.image_ids,
                     "COCO file that has the ids of pictures by file name; others are left out. "
                     "None: file names are counted from 1, sorted");
  command
      .add_option(
          "--set", a.sets, "key=value over the model's or the checkpoint's spec (model.norm, …)")
      ->take_all()
      ->expected(1);
  command.add_option("--device", a.device, "auto (cuda where there is one), cpu or cuda");
}

void add_outputs(CLI::App& command, PredictArguments& a) {
  command.add_option("--out", a.out, "COCO results file to write")->required();
  command.add_option("--score-threshold", a.score_threshold, "Leave out what scores below it");
  command.add_option("--draw",
                     a.draw,
                     "Folder that gets the pictures with what is in them, as PNGs: a.jpg and a.png "
                     "in one folder are refused");
  command.add_option("--draw-threshold", a.draw_threshold, "Draw objects from this score on")
      ->capture_default_str();
  command.add_option(
      "--maps",
      a.maps,
      "Folder that gets a PNG of category ids per picture, of models that label pixels (panoptic "
      "ones: of segments, with FOLDER.json beside it); a.jpg and a.png are refused as with --draw");
  command.add_flag("--json", a.json, "What was done, as one object to stdout");
}

}  // namespace

void add_predict_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "predict",
      "Detect in the pictures of a folder, with a weight file. A picture that cannot be used is "
      "told on stderr and leaves the others' results alone; with more of them than "
      "data.max_broken allows the exit code is 3");
  const auto arguments = std::make_shared<PredictArguments>();
  add_inputs(*command, *arguments);
  add_outputs(*command, *arguments);
  command->callback([arguments] { predict(*arguments); });
}

}  // namespace batchscope::app
