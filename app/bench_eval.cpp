#include "app/bench_eval.h"

#include "app/json_output.h"
#include "engine/contract/error.h"
#include "engine/metrics/coco_files.h"

#include <nlohmann/json.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern char** environ;

namespace batchscope {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// A folder that is removed with its contents.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "batchscope-eval-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw contract::StorageError("Could not make a folder in " +
                                   fs::temp_directory_path().string() + ".");
    }
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

struct Files {
  std::string truth, results;
};

/// What the engine said last of all on its stderr, without its name.
std::string sentence_in(const std::string& file) {
  constexpr std::string_view kName = "batchscope-engine: ";
  std::string sentence;
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(kName)) {
      sentence = line.substr(kName.size());
    }
  }
  return sentence;
}

/// Throws the child's own sentence with its exit code.
void require_done(int status, const std::string& program, const std::string& said) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    return;
  }
  const std::string command = "The command 'metrics' of '" + program + "'";
  if (!WIFEXITED(status)) {
    throw contract::StorageError(command + " was ended by signal " +
                                 std::to_string(WTERMSIG(status)) + ".");
  }
  const int code = WEXITSTATUS(status);
  const std::string sentence = sentence_in(said);
  throw contract::Error(
      static_cast<contract::ExitCode>(code),
      sentence.empty() ? command + " ended with code " + std::to_string(code) + "." : sentence);
}

std::vector<std::string> command_line(const BenchEvalOptions& o,
                                      const Files& files,
                                      unsigned threads,
                                      const fs::path& out) {
  return {"batchscope-engine",
          "metrics",
          "--gt=" + files.truth,
          "--dt=" + files.results,
          "--type=" + o.type,
          "--threads=" + std::to_string(threads),
          "--json=" + out.string()};
}

/// Runs `metrics` once.
CommandTiming run_command(const BenchEvalOptions& o,
                          const Files& files,
                          unsigned threads,
                          const fs::path& scratch) {
  const std::string said = (scratch / "said.txt").string();
  std::vector<std::string> words = command_line(o, files, threads, scratch / "figures.json");
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(
      &actions, STDERR_FILENO, said.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  const auto begin = Clock::now();
  const int failed =
      ::posix_spawn(&child, o.program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  rusage usage{};
  int status = 0;
  if (failed != 0 || ::wait4(child, &status, 0, &usage) != child) {
    throw contract::StorageError("Could not run '" + o.program +
                                 "': " + std::strerror(failed != 0 ? failed : errno) + ".");
  }
  const CommandTiming timing = {seconds_since(begin), static_cast<double>(usage.ru_maxrss) / 1024};
  require_done(status, o.program, said);
  return timing;
}

CommandTiming time_command(const BenchEvalOptions& o,
                           const Files& files,
                           unsigned threads,
                           const fs::path& scratch) {
  std::vector<double> seconds;
  CommandTiming timing;
  for (int i = 0; i < o.rounds; ++i) {
    const CommandTiming one = run_command(o, files, threads, scratch);
    seconds.push_back(one.seconds);
    timing.peak_mib = std::max(timing.peak_mib, one.peak_mib);
  }
  std::sort(seconds.begin(), seconds.end());
  timing.seconds = seconds[seconds.size() / 2];
  return timing;
}

void time_stages(const BenchEvalOptions& o, const Files& files, EvalTiming& timing) {
  timing.read_truth = timing.read_results = timing.evaluate = timing.evaluate_one_thread =
      std::numeric_limits<double>::infinity();
  for (int i = 0; i < o.rounds; ++i) {
    auto begin = Clock::now();
    train::CocoInput input = train::read_coco_truth(files.truth, o.type == "segm");
    timing.read_truth = std::min(timing.read_truth, seconds_since(begin));
    begin = Clock::now();
    train::read_coco_results(files.results, files.truth, input);
    timing.read_results = std::min(timing.read_results, seconds_since(begin));
    for (const std::string& warning : i == 0 ? input.warnings : std::vector<std::string>()) {
      std::fprintf(stderr, "warning: %s\n", warning.c_str());
    }
    begin = Clock::now();
    timing.metrics = train::coco_metrics(input.set, {.threads = timing.threads}).metrics;
    timing.evaluate = std::min(timing.evaluate, seconds_since(begin));
    begin = Clock::now();
    train::coco_metrics(input.set, {.threads = 1});
    timing.evaluate_one_thread = std::min(timing.evaluate_one_thread, seconds_since(begin));
    timing.images = input.set.images.size();
    timing.objects = input.set.truth.size();
    timing.detections = input.set.detections.size();
    timing.categories = input.set.categories.size();
  }
}

void check(const BenchEvalOptions& o) {
  const auto need = [](bool good, const char* option, const char* expected) {
    if (!good) {
      throw contract::SpecError(option, std::string(option) + ": expected " + expected + ".");
    }
  };
  need(o.truth.empty() == o.results.empty(), "--dt", "a file with --gt, and none without");
  need(o.data.images > 0, "--images", "at least 1");
  need(o.data.detections >= 0, "--detections", "at least 0");
  need(o.data.classes > 0, "--classes", "at least 1");
  need(o.rounds > 0, "--rounds", "at least 1");
}

Files files_of(const BenchEvalOptions& o, const fs::path& scratch) {
  if (!o.truth.empty()) {
    return {o.truth, o.results};
  }
  const fs::path folder = o.keep.empty() ? scratch : fs::path(o.keep);
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  Files files = {(folder / "gt.json").string(), (folder / "dt.json").string()};
  write_eval_data(o.data, files.truth, files.results);
  return files;
}

nlohmann::json to_json(const BenchEvalOptions& o, const EvalTiming& t) {
  return {{"bench", "eval"},
          {"type", o.type},
          {"images", t.images},
          {"objects", t.objects},
          {"detections", t.detections},
          {"categories", t.categories},
          {"threads", t.threads},
          {"seconds", t.command.seconds},
          {"peak_mib", t.command.peak_mib},
          {"seconds_one_thread", t.command_one_thread.seconds},
          {"peak_mib_one_thread", t.command_one_thread.peak_mib},
          {"read_truth_seconds", t.read_truth},
          {"read_results_seconds", t.read_results},
          {"evaluate_seconds", t.evaluate},
          {"evaluate_seconds_one_thread", t.evaluate_one_thread},
          {"metrics", t.metrics}};
}

void print(const EvalTiming& t) {
  std::printf("%zu pictures, %zu objects, %zu detections, %zu categories: AP %.4f\n",
              t.images,
              t.objects,
              t.detections,
              t.categories,
              t.metrics.at("AP"));
  std::printf("  whole command  %.3f s, peak %.0f MiB (%u threads); %.3f s, %.0f MiB (1 thread)\n",
              t.command.seconds,
              t.command.peak_mib,
              t.threads,
              t.command_one_thread.seconds,
              t.command_one_thread.peak_mib);
  std::printf("  read truth     %.3f s\n  read results   %.3f s\n", t.read_truth, t.read_results);
  std::printf("  evaluate       %.3f s (%u threads), %.3f s (1 thread)\n",
              t.evaluate,
              t.threads,
              t.evaluate_one_thread);
}

}  // namespace

EvalTiming measure_eval(const BenchEvalOptions& o) {
  check(o);
  const TemporaryFolder scratch;
  const Files files = files_of(o, scratch.path());
  EvalTiming timing;
  timing.threads = o.threads > 0 ? o.threads : std::max(1U, std::thread::hardware_concurrency());
  // First, while this process is small: a child's peak begins with its parent's.
  timing.command = time_command(o, files, timing.threads, scratch.path());
  timing.command_one_thread = time_command(o, files, 1, scratch.path());
  time_stages(o, files, timing);
  return timing;
}

void add_bench_eval(CLI::App& bench) {
  auto options = std::make_shared<BenchEvalOptions>();
  auto json_file = std::make_shared<std::string>();
  CLI::App* eval = bench.add_subcommand(
      "eval", "Time the evaluation of COCO results: the whole command and its parts");
  eval->add_option("--gt", options->truth, "COCO truth; none: drawn");
  eval->add_option("--dt", options->results, "COCO results");
  eval->add_option("--type", options->type, "bbox or segm (of --gt and --dt)")
      ->check(CLI::IsMember({"bbox", "segm"}))
      ->capture_default_str();
  eval->add_option("--images", options->data.images, "Pictures drawn")->capture_default_str();
  eval->add_option("--detections", options->data.detections, "Detections in a picture")
      ->capture_default_str();
  eval->add_option("--classes", options->data.classes, "Categories")->capture_default_str();
  eval->add_option("--seed", options->data.seed, "Seed of what is drawn")->capture_default_str();
  eval->add_option("--keep", options->keep, "Folder to leave gt.json and dt.json in");
  eval->add_option("--threads", options->threads, "0: one for each CPU")->capture_default_str();
  eval->add_option("--rounds", options->rounds, "Measurements of each")->capture_default_str();
  CLI::Option* json =
      eval->add_option("--json", *json_file, "JSON to stdout, or to a file")->expected(0, 1);
  eval->callback([options, json_file, json] {
    const EvalTiming timing = measure_eval(*options);
    json->count() > 0 ? write_json(to_json(*options, timing), *json_file) : print(timing);
  });
}

}  // namespace batchscope
