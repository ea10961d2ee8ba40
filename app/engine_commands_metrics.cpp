#include "app/engine_commands.h"
#include "app/json_output.h"
#include "app/metrics_report.h"
#include "engine/contract/error.h"

#include <memory>
#include <thread>

namespace batchscope::app {
namespace {

struct MetricsArguments {
  std::string truth, found, type, truth_images, found_images, categories, curves, out;
  std::string hierarchy, image_labels;
  std::vector<std::uint32_t> ignore;
  unsigned threads = 0;
  std::size_t max_detections = 100;
  bool json = false, per_class = false, expand_detections = false;
};

void require_unused(bool used, const char* option, const MetricsArguments& arguments) {
  if (used) {
    throw contract::SpecError(
        option, std::string(option) + " does not go with --type " + arguments.type + ".");
  }
}

std::unique_ptr<MetricsReport> coco(const MetricsArguments& a) {
  train::CocoInput input = train::read_coco_truth(a.truth, a.type == "segm");
  train::read_coco_results(a.found, a.truth, input);
  for (const std::string& warning : input.warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  for (const std::string& hint : train::coco_hints(input.set, a.max_detections)) {
    std::fprintf(stderr, "note: %s\n", hint.c_str());
  }
  auto report = std::make_unique<CocoReport>(
      train::coco_metrics(
          input.set,
          {.threads = a.threads, .curves = !a.curves.empty(), .max_detections = a.max_detections}),
      input,
      a.max_detections);
  if (!a.curves.empty()) {
    report->write_curves(a.curves);
  }
  return report;
}

std::unique_ptr<MetricsReport> panoptic(const MetricsArguments& a) {
  train::PanopticFile truth = train::read_panoptic_file(a.truth);
  const train::PanopticFile found = train::read_panoptic_file(a.found);
  if (truth.categories.empty()) {
    throw contract::DataError("The panoptic file '" + a.truth + "' has no categories.");
  }
  train::PanopticTotals totals =
      train::compare_panoptic(truth,
                              train::panoptic_folder(a.truth_images, a.truth),
                              found,
                              train::panoptic_folder(a.found_images, a.found),
                              a.threads);
  return std::make_unique<PanopticReport>(std::move(totals), std::move(truth.categories));
}

std::unique_ptr<MetricsReport> semantic(const MetricsArguments& a) {
  train::SemanticOptions options;
  options.ignore.insert(a.ignore.begin(), a.ignore.end());
  options.threads = a.threads;
  std::vector<train::PanopticCategory> categories;
  if (!a.categories.empty()) {
    for (train::PanopticCategory& c : train::read_categories(a.categories)) {
      const auto id = static_cast<std::uint32_t>(c.id);
      if (!options.ignore.contains(id)) {
        options.known.insert(id);
        categories.push_back(std::move(c));
      }
    }
  }
  return std::make_unique<SemanticReport>(train::compare_semantic(a.truth, a.found, options),
                                          std::move(categories));
}

std::unique_ptr<MetricsReport> openimages(const MetricsArguments& a) {
  return std::make_unique<OpenImagesReport>(train::read_openimages_files(
      {a.truth, a.found, a.image_labels, a.hierarchy, a.expand_detections}));
}

void measure(MetricsArguments a) {
  if (a.threads == 0) {
    a.threads = std::max(1U, std::thread::hardware_concurrency());
  }
  const bool boxes_or_masks = a.type == "bbox" || a.type == "segm";
  require_unused(!boxes_or_masks && !a.curves.empty(), "--curves", a);
  require_unused(!boxes_or_masks && a.max_detections != 100, "--max-detections", a);
  require_unused(a.type != "panoptic" && !a.truth_images.empty(), "--gt-images", a);
  require_unused(a.type != "panoptic" && !a.found_images.empty(), "--dt-images", a);
  require_unused(a.type != "semantic" && !a.ignore.empty(), "--ignore", a);
  require_unused(a.type != "semantic" && !a.categories.empty(), "--categories", a);
  const bool open = a.type == "openimages";
  require_unused(!open && !a.hierarchy.empty(), "--hierarchy", a);
  require_unused(!open && !a.image_labels.empty(), "--image-labels", a);
  require_unused(!open && a.expand_detections, "--expand-detections", a);
  const std::unique_ptr<MetricsReport> report = boxes_or_masks         ? coco(a)
                                                : a.type == "panoptic" ? panoptic(a)
                                                : open                 ? openimages(a)
                                                                       : semantic(a);
  if (a.json) {
    write_json(report->json(a.per_class), a.out);
  }
  if (!a.json || !a.out.empty()) {
    report->print(stdout, a.per_class);
  }
}

}  // namespace

void add_metrics_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "metrics",
      "COCO's figures of results, panoptic quality, mean IoU of label pictures, Open Images' AP");
  const auto a = std::make_shared<MetricsArguments>();
  command
      ->add_option("--gt", a->truth, "Truth: COCO JSON; semantic: folder of PNGs; openimages: CSV")
      ->required();
  command->add_option("--dt", a->found, "Results of the same kind")->required();
  command->add_option("--type", a->type, "bbox, segm, panoptic, semantic or openimages")
      ->required()
      ->check(CLI::IsMember({"bbox", "segm", "panoptic", "semantic", "openimages"}));
  command->add_option("--gt-images",
                      a->truth_images,
                      "panoptic: folder of the truth's PNGs; none: the file's name without .json");
  command->add_option("--dt-images", a->found_images, "panoptic: folder of the results' PNGs");
  command->add_option("--ignore", a->ignore, "semantic: true labels to leave out");
  command->add_option("--categories",
                      a->categories,
                      "semantic: JSON with the categories; none: every label is one");
  command->add_option(
      "--hierarchy", a->hierarchy, "openimages: JSON; true boxes count for every class above too");
  command->add_option(
      "--image-labels", a->image_labels, "openimages: CSV of verified labels of whole pictures");
  command->add_flag("--expand-detections",
                    a->expand_detections,
                    "openimages: detections count for every class above too");
  command->add_flag("--per-class", a->per_class, "The figures of each category too");
  command->add_option("--curves",
                      a->curves,
                      "bbox, segm: precision over recall of each category, as CSV to this file");
  command
      ->add_option("--max-detections",
                   a->max_detections,
                   "bbox, segm: detections of a class in a picture that count, the best ones")
      ->check(CLI::Range(std::size_t{1}, std::size_t{100000}))
      ->capture_default_str();
  command->add_option("--threads", a->threads, "0: one for each CPU");
  CLI::Option* json = command->add_option("--json", a->out, "To stdout, or to this file");
  json->expected(0, 1);
  command->callback([a, json] {
    a->json = json->count() > 0;
    measure(*a);
  });
}

}  // namespace batchscope::app
