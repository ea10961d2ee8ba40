#include "app/data_report.h"
#include "app/engine_commands.h"
#include "app/json_output.h"
#include "engine/contract/error.h"
#include "engine/data/make_dataset.h"

#include <filesystem>
#include <memory>
#include <thread>
#include <unistd.h>

namespace batchscope::app {
namespace {

struct CheckArguments {
  std::string data, images, segments, kind = "coco", out;
  std::vector<std::string> sets;
  bool json = false, quick = false;
  unsigned threads = 0;
};

contract::RunSpec spec_of(const CheckArguments& a) {
  contract::RunSpec spec;
  if (a.images.empty()) {
    spec = contract::load_spec(a.data);
  } else {
    spec.data.kind = a.kind;
    spec.data.annotations = a.data;
    spec.data.images = a.images;
    spec.data.segments = a.segments;
    if (a.kind == "ade20k") {
      spec.model.name = "tiny_semantic_fpn";  // the default one asks for boxes
    }
    contract::make_paths_absolute(spec, std::filesystem::current_path().string());
  }
  apply_sets(spec, a.sets);
  contract::RunSpec asked = spec;
  if (!a.images.empty() && a.kind == "openimages") {
    asked.data.val_image_labels.clear();  // here they may be of the one set that is looked at
  }
  contract::validate(asked);
  return spec;
}

/// A line that redraws itself while stderr is a terminal.
std::function<void(std::int64_t, std::int64_t)> progress_line(const std::string& name) {
  if (::isatty(STDERR_FILENO) == 0) {
    return {};
  }
  return [name](std::int64_t done, std::int64_t total) {
    std::fprintf(stderr,
                 "\r%s: %lld of %lld pictures%s",
                 name.c_str(),
                 static_cast<long long>(done),
                 static_cast<long long>(total),
                 done == total ? "\r\033[K" : "");
  };
}

/// The report of a set; what its annotations are refused for is its only finding.
template <typename Make>
std::optional<train::DataReport> report_of(const CheckArguments& a,
                                           const std::string& name,
                                           std::shared_ptr<const train::Dataset>& set,
                                           const Make& make) {
  try {
    set = make();
    if (!set) {
      return std::nullopt;
    }
  } catch (const contract::DataError& error) {
    train::DataReport report;
    report.findings.push_back({true, "annotations", 1, error.what()});
    return report;
  }
  train::DataCheckOptions options;
  options.decode = !a.quick;
  options.threads = a.threads > 0 ? a.threads : std::max(1U, std::thread::hardware_concurrency());
  options.progress = progress_line(name);
  return train::check_data(*set, options);
}

void check(const CheckArguments& a) {
  const contract::RunSpec spec = spec_of(a);
  std::vector<std::pair<std::string, train::DataReport>> reports;
  std::shared_ptr<const train::Dataset> training, validation;
  reports.emplace_back("training", *report_of(a, "training", training, [&] {
                         return train::make_training_set(spec);
                       }));
  auto second = report_of(
      a, "validation", validation, [&] { return train::make_validation_set(spec, training); });
  if (second) {
    if (const auto shared = train::shared_pictures(reports[0].second, *second)) {
      second->findings.push_back(*shared);
    }
    reports.emplace_back("validation", std::move(*second));
  }
  nlohmann::json object = {{"ok", true}};
  std::string first_error;
  for (const auto& [name, report] : reports) {
    object["sets"][name] = data_json(report);
    if (!report.ok() && first_error.empty()) {
      object["ok"] = false;
      first_error = report.findings.front().sentence;
    }
  }
  if (a.json) {
    write_json(object, a.out);
  }
  if (!a.json || !a.out.empty()) {
    for (const auto& [name, report] : reports) {
      print_data(stdout, name, report);
    }
  }
  if (!first_error.empty()) {
    throw contract::DataError(first_error);
  }
}

}  // namespace

void add_data_command(CLI::App& app) {
  CLI::App* data = app.add_subcommand("data", "Data sets");
  data->require_subcommand(1);
  CLI::App* command = data->add_subcommand(
      "check",
      "Look at every picture and box of a data set; exit code 3 where a training would fail");
  const auto a = std::make_shared<CheckArguments>();
  command->add_option("data", a->data, "Spec or preset; with --images: annotations")->required();
  CLI::Option* images = command->add_option("--images", a->images, "Folder of the pictures");
  command->add_option("--kind", a->kind, "Of annotations: as data.kind")->needs(images);
  command->add_option("--segments", a->segments, "coco-panoptic: as data.segments")->needs(images);
  command->add_option("--set", a->sets, "key=value, over the spec")->take_all()->expected(1);
  command->add_flag("--quick", a->quick, "Headers of the pictures alone, as a launch does");
  command->add_option("--threads", a->threads, "0: one for each CPU");
  CLI::Option* json = command->add_option("--json", a->out, "To stdout, or to this file");
  json->expected(0, 1);
  command->callback([a, json] {
    a->json = json->count() > 0;
    check(*a);
  });
}

}  // namespace batchscope::app
