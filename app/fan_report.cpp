#include "app/fan_report.h"

#include "app/terminal_text.h"
#include "engine/contract/error.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace batchscope::app {
namespace {

using nlohmann::json;

json number(double value) {
  return std::isfinite(value) ? json(value) : json(nullptr);
}
json known(double value) {
  return value > 0 ? json(value) : json(nullptr);
}

std::string criterion(const FanReport& report) {
  return "A probe makes " + std::to_string(report.updates) +
         " updates with the run's own schedule scaled to its rate. It fails when a loss is not "
         "finite, above the guard's limit or above " +
         short_number(train::kFanSpike) +
         " times the first one, or when the mean of the last third "
         "is above " +
         short_number(train::kFanLevel) + " times the first one.";
}

}  // namespace

const train::FanResult& chosen_probe(const FanReport& report, const std::string& use) {
  if (use == "best") {
    const train::FanResult* best = nullptr;
    for (const train::FanResult& result : report.results) {
      if (result.verdict.survives &&
          (best == nullptr || result.verdict.fall > best->verdict.fall)) {
        best = &result;
      }
    }
    if (best == nullptr) {
      throw contract::SpecError("--use", "No probe survived: nothing is applied.");
    }
    return *best;
  }
  std::size_t index = 0;
  const char* end = use.data() + use.size();
  const auto [rest, error] = std::from_chars(use.data(), end, index);
  if (error != std::errc() || rest != end || index < 1 || index > report.results.size()) {
    throw contract::SpecError("--use",
                              "--use takes a probe's number, 1 to " +
                                  std::to_string(report.results.size()) + ", or best; found \"" +
                                  use + "\".");
  }
  return report.results[index - 1];
}

std::string command_line(const std::string& run, const train::FanResult& result) {
  const contract::OptimizerCommand& command = result.probe.command;
  std::string line = "control " + run + " optimizer";
  if (command.name) {
    line += " " + *command.name;
  }
  if (command.agvm) {
    line += *command.agvm ? " --agvm on" : " --agvm off";
  }
  line += " --lr " + short_number(result.probe.lr) + " --lr-mapping " +
          contract::to_string(command.lr_mapping);
  for (const auto& [key, value] : command.set) {
    line.append(" --set ").append(key).append("=").append(value);
  }
  return line;
}

std::string probe_line(const train::FanResult& result) {
  const std::string seed =
      result.probe.seed ? ", seed " + std::to_string(*result.probe.seed) : std::string();
  return result.probe.method.label + ", lr " + short_number(result.probe.lr) + seed + ": " +
         (result.verdict.survives ? "survives" : result.verdict.why);
}

std::string fan_text(const FanReport& report) {
  std::string text = "Run " + report.run + " after update " + std::to_string(report.step) +
                     ", base learning rate " + short_number(report.base_lr) + "\n" +
                     criterion(report) + "\n\n";
  const auto row = [&](const std::vector<std::string>& cells) {
    static const std::vector<std::size_t> kWidths = {4, 14, 11, 6, 9, 9, 9, 13, 26};
    for (std::size_t i = 0; i < cells.size(); ++i) {
      text += i + 1 < cells.size() ? fitted(cells[i], kWidths[i]) : cells[i];
    }
    text += "\n";
  };
  row({"no", "optimizer", "lr", "seed", "start", "end", "highest", "fall/1000", "loss"});
  for (std::size_t i = 0; i < report.results.size(); ++i) {
    const train::FanResult& result = report.results[i];
    const train::FanVerdict& verdict = result.verdict;
    row({std::to_string(i + 1),
         result.probe.method.label,
         short_number(result.probe.lr),
         result.probe.seed ? std::to_string(*result.probe.seed) : "",
         short_number(verdict.start_loss),
         short_number(verdict.end_loss),
         short_number(verdict.highest_loss),
         short_number(verdict.fall),
         sparkline(result.losses, 15, true) +
             (verdict.survives ? "  survives" : "  FAILS: " + verdict.why)});
  }
  text += "\n";
  for (const train::FanEdge& edge : report.edges) {
    text += edge.label + ": ";
    if (edge.edge > 0) {
      text += "edge near " + short_number(edge.edge) + " (" + short_number(edge.highest_surviving) +
              " survives, " + short_number(edge.lowest_failing) + " fails)\n";
    } else if (edge.lowest_failing > 0) {
      text += "the edge lies below " + short_number(edge.lowest_failing) + "\n";
    } else {
      text += "the edge lies above " + short_number(edge.highest_surviving) + "\n";
    }
  }
  try {
    text += "Fastest: " + command_line(report.run, chosen_probe(report, "best")) + "\n";
  } catch (const contract::SpecError&) {
    text += "No probe survived.\n";
  }
  return text + short_number(std::round(10 * report.seconds) / 10) + " s for " +
         std::to_string(report.results.size()) + " probes\n";
}

json fan_json(const FanReport& report) {
  json probes = json::array(), edges = json::array();
  for (std::size_t i = 0; i < report.results.size(); ++i) {
    const train::FanResult& result = report.results[i];
    const train::FanVerdict& verdict = result.verdict;
    json losses = json::array();
    for (const double loss : result.losses) {
      losses.push_back(number(loss));
    }
    probes.push_back({{"number", i + 1},
                      {"optim", result.probe.method.label},
                      {"lr", result.probe.lr},
                      {"seed", result.probe.seed ? json(*result.probe.seed) : json(nullptr)},
                      {"survives", verdict.survives},
                      {"why", verdict.why},
                      {"start_loss", number(verdict.start_loss)},
                      {"end_loss", number(verdict.end_loss)},
                      {"highest_loss", number(verdict.highest_loss)},
                      {"fall", number(verdict.fall)},
                      {"losses", losses},
                      {"first_lr", result.first_lr},
                      {"last_lr", result.last_lr},
                      {"seconds", result.seconds},
                      {"command", contract::command_args(result.probe.command)}});
  }
  for (const train::FanEdge& edge : report.edges) {
    edges.push_back({{"optim", edge.label},
                     {"highest_surviving", known(edge.highest_surviving)},
                     {"lowest_failing", known(edge.lowest_failing)},
                     {"edge", known(edge.edge)}});
  }
  return {{"run", report.run},
          {"step", report.step},
          {"base_lr", report.base_lr},
          {"updates", report.updates},
          {"seconds", report.seconds},
          {"criterion", criterion(report)},
          {"probes", probes},
          {"edges", edges}};
}

}  // namespace batchscope::app
