#include "storage/run_facts.h"

#include "storage/lineage.h"
#include "storage/run_files.h"
#include "storage/run_identity.h"
#include "storage/run_status.h"
#include "storage/sqlite.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <exception>
#include <limits>

namespace batchscope::storage {
namespace {

namespace fs = std::filesystem;
using contract::RunState;
using nlohmann::json;

/// Some seconds of SQLite's work; the longest runs need a hundredth of it.
constexpr std::int64_t kMostSteps = 20'000'000;

fs::path shown_path(const fs::path& folder_or_file) {
  const fs::path folder = folder_of_run(folder_or_file);
  return folder.empty() ? folder_or_file : folder;
}

/// A finished run is dead if its loss never fell below the first one of its line.
bool is_dead(RunReader& reader) {
  const std::vector<contract::SeriesInfo> series = reader.series();
  std::int32_t loss = -1;
  for (std::size_t i = 0; i < series.size(); ++i) {
    loss = series[i].name == "loss" ? static_cast<std::int32_t>(i) : loss;
  }
  if (loss < 0) {
    return false;
  }
  const SeriesSummary all = reader.summary(loss);
  return all.count > 1 && std::isfinite(all.first) && !(all.min < all.first);
}

std::map<std::string, double> last_metrics(RunReader& reader) {
  const std::vector<LineageSpan> spans = lineage(reader.segments());
  std::map<std::string, double> metrics;
  for (const StoredEval& eval : reader.evals(0)) {
    if (spans.empty() || on_lineage(spans, eval.record.segment, eval.record.step)) {
      metrics = eval.record.metrics;
    }
  }
  return metrics;
}

void fill(RunFacts& facts, RunReader& reader) {
  RunSummary& summary = facts.summary;
  const contract::RunInfo info = reader.info();
  facts.stored = reader.state();
  const contract::StatusReport& report = facts.stored.report;
  summary.id = info.id;
  summary.name = info.name;
  summary.group = info.parent_run;
  summary.step = report.step;
  summary.steps = report.steps > 0 ? report.steps : info.steps;
  summary.images = report.images;
  summary.optimizer = report.agvm ? report.optimizer + " + agvm" : report.optimizer;
  summary.effective_batch = report.micro * report.accumulation * report.ranks;
  summary.started = info.started;
  summary.finished = facts.stored.finished;
  summary.phase = report.phase;
  summary.trouble = report.trouble;
  summary.metrics = last_metrics(reader);
  summary.dead = report.state == RunState::kFinished && is_dead(reader);
}

json number_json(double value) {
  const std::string_view word = nonfinite_word(value);
  return word.empty() ? json(value) : json(std::string(word));
}

double number_from(const json& value) {
  if (value.is_number()) {
    return value.get<double>();
  }
  const double infinity = std::numeric_limits<double>::infinity();
  return value == "inf"    ? infinity
         : value == "-inf" ? -infinity
                           : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

RunFacts read_facts(const fs::path& folder_or_file, const std::atomic<bool>* cancelled) noexcept {
  RunFacts facts;
  try {
    facts.summary.folder = shown_path(folder_or_file);
    facts.summary.id = facts.summary.folder.stem().string();
    facts.stored.report.state = RunState::kQueued;
    std::error_code error;
    const fs::path file = run_file_of(folder_or_file);
    const bool begun = fs::exists(file, error) && !nothing_written(file);
    if (!begun && fs::exists(file.parent_path() / kSpecFile, error)) {
      return facts;  // prepared, and nothing written yet
    }
    RunReader reader(folder_or_file, {kMostSteps, cancelled});
    fill(facts, reader);
  } catch (const std::exception& error) {
    facts.summary.error = error.what();
  }
  return facts;
}

RunSummary judge(const RunFacts& facts) {
  RunSummary summary = facts.summary;
  if (!summary.error.empty()) {
    summary.state = RunState::kLost;
    summary.evidence = "the run file cannot be read";
    return summary;
  }
  const StatusEvidence evidence = gather_evidence(folder_of_run(summary.folder), facts.stored);
  summary.state = decide_state(evidence);
  summary.evidence = describe(evidence);
  if (summary.state == RunState::kLost) {
    summary.trouble.clear();  // it was true then
  }
  return summary;
}

std::string to_json(const RunFacts& facts) {
  const RunSummary& run = facts.summary;
  const StoredState& stored = facts.stored;
  json metrics = json::object();
  for (const auto& [name, value] : run.metrics) {
    metrics[name] = number_json(value);
  }
  const json exit_code = stored.exit_code ? json(*stored.exit_code) : json();
  return json{{"id", run.id},
              {"name", run.name},
              {"group", run.group},
              {"folder", run.folder.string()},
              {"step", run.step},
              {"steps", run.steps},
              {"images", run.images},
              {"optimizer", run.optimizer},
              {"effective_batch", run.effective_batch},
              {"started", run.started},
              {"finished", run.finished},
              {"phase", run.phase},
              {"trouble", run.trouble},
              {"metrics", metrics},
              {"dead", run.dead},
              {"error", run.error},
              {"state", contract::to_string(stored.report.state)},
              {"pid", stored.pid},
              {"pid_started", stored.pid_started},
              {"boot_id", stored.boot_id},
              {"heartbeat_unix", stored.heartbeat_unix},
              {"exit_code", exit_code}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

RunFacts facts_from_json(const std::string& text) {
  try {
    const json object = json::parse(text);
    RunFacts facts;
    RunSummary& run = facts.summary;
    StoredState& stored = facts.stored;
    object.at("id").get_to(run.id);
    object.at("name").get_to(run.name);
    object.at("group").get_to(run.group);
    run.folder = object.at("folder").get<std::string>();
    object.at("step").get_to(run.step);
    object.at("steps").get_to(run.steps);
    object.at("images").get_to(run.images);
    object.at("optimizer").get_to(run.optimizer);
    object.at("effective_batch").get_to(run.effective_batch);
    object.at("started").get_to(run.started);
    object.at("finished").get_to(run.finished);
    object.at("phase").get_to(run.phase);
    object.at("trouble").get_to(run.trouble);
    for (const auto& [name, value] : object.at("metrics").items()) {
      run.metrics[name] = number_from(value);
    }
    object.at("dead").get_to(run.dead);
    object.at("error").get_to(run.error);
    stored.report.state = contract::run_state_from(object.at("state").get<std::string>());
    object.at("pid").get_to(stored.pid);
    object.at("pid_started").get_to(stored.pid_started);
    object.at("boot_id").get_to(stored.boot_id);
    object.at("heartbeat_unix").get_to(stored.heartbeat_unix);
    if (!object.at("exit_code").is_null()) {
      stored.exit_code = object.at("exit_code").get<int>();
    }
    return facts;
  } catch (const json::exception& error) {
    throw contract::StorageError(std::string("an entry of the catalogue is damaged: ") +
                                 error.what());
  }
}

}  // namespace batchscope::storage
