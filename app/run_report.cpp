#include "app/run_report.h"

#include "app/terminal_text.h"
#include "storage/csv_export.h"
#include "storage/headline.h"

#include <cmath>
#include <cstdio>

namespace batchscope::app {
namespace {

using nlohmann::json;
using storage::RunReader;
using storage::RunSummary;

json number_json(double value) {
  return std::isfinite(value) ? json(value) : json(storage::number_text(value));
}

json metrics_json(const std::map<std::string, double>& metrics) {
  json object = json::object();
  for (const auto& [name, value] : metrics) {
    object[name] = number_json(value);
  }
  return object;
}

std::string progress(const RunSummary& run) {
  return std::to_string(run.step) + "/" + std::to_string(run.steps);
}

std::string main_metric(const RunSummary& run) {
  const std::optional<storage::Headline> figure = storage::headline(run.metrics);
  return figure ? figure->name + " " + short_number(figure->value) : std::string();
}

std::string last_column(const RunSummary& run) {
  if (!run.error.empty()) {
    return run.error;
  }
  return run.trouble.empty() ? run.started : run.started + "  trouble: " + run.trouble;
}

json events_json(RunReader& reader) {
  json list = json::array();
  for (const storage::StoredEvent& event : reader.events(0)) {
    const contract::EventRecord& record = event.record;
    list.push_back({{"segment", record.segment},
                    {"step", record.step},
                    {"time", record.time},
                    {"kind", record.kind},
                    {"source", record.source},
                    {"text", record.text},
                    {"args", record.args}});
  }
  return list;
}

json evals_json(RunReader& reader) {
  json list = json::array();
  for (const storage::StoredEval& eval : reader.evals(0)) {
    const contract::EvalRecord& record = eval.record;
    list.push_back({{"segment", record.segment},
                    {"step", record.step},
                    {"images", record.images},
                    {"seconds", number_json(record.seconds)},
                    {"pictures", record.pictures},
                    {"eval_seconds", number_json(record.eval_seconds)},
                    {"metrics", metrics_json(record.metrics)}});
  }
  return list;
}

json segments_json(RunReader& reader) {
  json list = json::array();
  for (const contract::SegmentRecord& record : reader.segments()) {
    list.push_back({{"segment", record.segment},
                    {"parent", record.parent},
                    {"start_step", record.start_step},
                    {"abandoned_after", record.abandoned_after},
                    {"reason", record.reason}});
  }
  return list;
}

json checkpoints_json(RunReader& reader) {
  json list = json::array();
  for (const contract::CheckpointRecord& record : reader.checkpoints()) {
    list.push_back({{"segment", record.segment},
                    {"step", record.step},
                    {"file", record.file},
                    {"kind", record.kind},
                    {"bytes", record.bytes}});
  }
  return list;
}

}  // namespace

json run_json(const RunSummary& run) {
  return {{"id", run.id},
          {"name", run.name},
          {"status", contract::to_string(run.state)},
          {"evidence", run.evidence},
          {"step", run.step},
          {"steps", run.steps},
          {"images", run.images},
          {"optimizer", run.optimizer},
          {"effective_batch", run.effective_batch},
          {"started", run.started},
          {"finished", run.finished},
          {"phase", run.phase},
          {"trouble", run.trouble},
          {"metrics", metrics_json(run.metrics)},
          {"dead", run.dead},
          {"error", run.error},
          {"folder", run.folder.string()}};
}

json run_json(const RunSummary& run, RunReader& reader) {
  const contract::RunInfo info = reader.info();
  json object = run_json(run);
  object["engine_version"] = info.engine_version;
  object["host"] = info.host;
  object["device"] = info.device;
  object["threads"] = info.threads;
  object["data_checksum"] = info.data_checksum;
  object["modules"] = info.modules;
  object["classes"] = info.classes;
  object["total_images"] = info.total_images;
  object["parent_run"] = info.parent_run;
  object["parent_step"] = info.parent_step;
  object["spec"] = info.spec_toml;
  object["rows"] = reader.last_seq();
  json series = json::array();
  for (const contract::SeriesInfo& one : reader.series()) {
    series.push_back({{"name", one.name}, {"unit", one.unit}, {"module", one.module}});
  }
  object["series"] = series;
  object["segments"] = segments_json(reader);
  object["events"] = events_json(reader);
  object["evaluations"] = evals_json(reader);
  object["checkpoints"] = checkpoints_json(reader);
  const storage::StoredState state = reader.state();
  object["lr"] = number_json(state.report.lr);
  object["lr_in_use"] = number_json(state.report.lr_in_use);
  object["exit_code"] = state.exit_code ? json(*state.exit_code) : json();
  return object;
}

std::string run_table(const std::vector<RunSummary>& runs) {
  std::string text = fitted("ID", 14) + fitted("NAME", 30) + fitted("STATUS", 10) +
                     fitted("STEP", 14) + fitted("OPTIMIZER", 18) + fitted("BATCH", 7) +
                     fitted("RESULT", 14) + "STARTED\n";
  for (const RunSummary& run : runs) {
    text += fitted(run.id, 14) + fitted(run.name, 30) +
            fitted(contract::to_string(run.state) + (run.dead ? "!" : ""), 10) +
            fitted(progress(run), 14) + fitted(run.optimizer, 18) +
            fitted(std::to_string(run.effective_batch), 7) + fitted(main_metric(run), 14) +
            printable(last_column(run)) + "\n";
  }
  return text;
}

std::string run_text(const RunSummary& run, RunReader& reader) {
  const contract::RunInfo info = reader.info();
  const auto line = [](const std::string& name, const std::string& value) {
    return value.empty() ? std::string() : fitted(name, 17) + printable(value) + "\n";
  };
  std::string text = line("run", run.id + "  " + run.name) +
                     line("status", contract::to_string(run.state) + " (" + run.evidence + ")") +
                     line("trouble", run.trouble) +
                     line("step", progress(run) + ", " + std::to_string(run.images) + " images") +
                     line("optimizer", run.optimizer) +
                     line("effective batch", std::to_string(run.effective_batch)) +
                     line("device", info.device) + line("host", info.host) +
                     line("started", run.started) + line("finished", run.finished) +
                     line("folder", run.folder.string());
  if (run.dead) {
    text += line("note", "dead: the loss never fell below its start");
  }
  for (const storage::StoredEval& eval : reader.evals(0)) {
    std::string metrics;
    for (const auto& [name, value] : eval.record.metrics) {
      metrics += (metrics.empty() ? "" : ", ") + name + " " + short_figure(value);
    }
    text += line("evaluation", "step " + std::to_string(eval.record.step) + ": " + metrics);
  }
  for (const storage::StoredEvent& event : reader.events(0)) {
    text += line("event",
                 "step " + std::to_string(event.record.step) + ", " + event.record.kind + " (" +
                     event.record.source + "): " + event.record.text);
  }
  return text;
}

}  // namespace batchscope::app
