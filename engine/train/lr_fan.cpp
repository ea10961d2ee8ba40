#include "engine/train/lr_fan.h"

#include "engine/contract/error.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>

namespace batchscope::train {
namespace {

using contract::SpecError;

constexpr std::size_t kMostRates = 64;

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= text.size() && !text.empty()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::string part = text.substr(begin, end - begin);
    std::erase(part, ' ');
    parts.push_back(part);
    begin = end + 1;
  }
  return parts;
}

[[noreturn]] void refuse_rates(const std::string& text) {
  throw SpecError("--lr",
                  "--lr takes rates (0.01,0.02), factors (x0.5,x2) or powers (x2^-2..2, "
                  "x2^-2..2/0.5); found \"" +
                      text + "\".");
}

double number_in(const std::string& text, const std::string& whole) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || !std::isfinite(value)) {
    refuse_rates(whole);
  }
  return value;
}

/// "2^-2..2/0.5" after its x.
void add_powers(std::vector<FanRate>& rates, const std::string& part, const std::string& whole) {
  const std::size_t hat = part.find('^'), dots = part.find("..", hat), slash = part.find('/', hat);
  if (dots == std::string::npos) {
    refuse_rates(whole);
  }
  const double base = number_in(part.substr(0, hat), whole);
  const double low = number_in(part.substr(hat + 1, dots - hat - 1), whole);
  const double high = number_in(part.substr(dots + 2, slash - dots - 2), whole);
  const double by = slash == std::string::npos ? 1 : number_in(part.substr(slash + 1), whole);
  if (!(base > 0) || !(by > 0) || low > high || (high - low) / by > double(kMostRates)) {
    refuse_rates(whole);
  }
  const auto count = static_cast<int>(std::floor((high - low) / by + 1e-9));
  for (int i = 0; i <= count; ++i) {
    rates.push_back({true, std::pow(base, low + i * by)});
  }
}

double clip_of(const std::string& text) {
  double value = 1;
  if (!text.empty()) {
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || rest != end || !(value > 0) || !std::isfinite(value)) {
      throw SpecError("--optim", "+clip=X takes a norm above 0, found \"" + text + "\".");
    }
  }
  return value;
}

FanMethod method_of(const std::string& text) {
  FanMethod method;
  method.label = text;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find('+', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (begin == 0) {
      method.name = word;
    } else if (word == "agvm") {
      method.agvm = true;
    } else if (word == "clip" || word.starts_with("clip=")) {
      method.clip_norm = clip_of(word == "clip" ? "" : word.substr(5));
    } else {
      throw SpecError(
          "--optim",
          "--optim takes methods with +clip, +clip=X or +agvm, such as sgd+clip; found \"" + text +
              "\".");
    }
    begin = end + 1;
  }
  contract::OptimizerCommand command;
  command.name = method.name;
  contract::check(command);  // a known method
  return method;
}

std::string text_of(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

}  // namespace

std::vector<FanRate> parse_fan_rates(const std::string& text) {
  std::vector<FanRate> rates;
  for (const std::string& part : parts_of(text)) {
    if (part.starts_with('x') && part.find('^') != std::string::npos) {
      add_powers(rates, part.substr(1), text);
    } else {
      const bool relative = part.starts_with('x');
      rates.push_back({relative, number_in(part.substr(relative ? 1 : 0), text)});
    }
  }
  const bool positive =
      std::all_of(rates.begin(), rates.end(), [](const FanRate& rate) { return rate.value > 0; });
  if (rates.empty() || rates.size() > kMostRates || !positive) {
    refuse_rates(text);
  }
  return rates;
}

std::vector<FanMethod> parse_fan_methods(const std::string& text) {
  std::vector<FanMethod> methods;
  for (const std::string& part : parts_of(text)) {
    methods.push_back(method_of(part));
  }
  if (methods.empty()) {
    methods.push_back({"as it is", "", 0, false});
  }
  return methods;
}

std::vector<FanProbe> fan_probes(const std::vector<FanMethod>& methods,
                                 const std::vector<FanRate>& rates,
                                 const std::vector<std::int64_t>& seeds,
                                 double base_lr) {
  std::vector<double> values;
  values.reserve(rates.size());
  for (const FanRate& rate : rates) {
    values.push_back(rate.relative ? rate.value * base_lr : rate.value);
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  std::vector<FanProbe> probes;
  for (const FanMethod& method : methods) {
    for (const double lr : values) {
      FanProbe probe;
      probe.method = method;
      probe.lr = lr;
      probe.command.lr = lr;
      probe.command.lr_mapping = contract::LrMapping::kTargetNow;
      if (!method.name.empty()) {
        probe.command.name = method.name;
        probe.command.agvm = method.agvm;
        probe.command.set["optim.clip_norm"] = text_of(method.clip_norm);
      }
      if (seeds.empty()) {
        probes.push_back(probe);
      }
      for (const std::int64_t seed : seeds) {
        probe.seed = seed;
        probes.push_back(probe);
      }
    }
  }
  return probes;
}

FanVerdict judge_probe(const std::vector<double>& losses,
                       const std::string& ended,
                       double pictures_per_update) {
  FanVerdict verdict;
  if (losses.empty()) {
    verdict.why = ended.empty() ? "no update was made" : ended;
    return verdict;
  }
  const auto count = static_cast<double>(losses.size());
  verdict.start_loss = losses.front();
  const std::size_t third = std::max<std::size_t>(1, losses.size() / 3);
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const double loss =
        std::isfinite(losses[i]) ? losses[i] : std::numeric_limits<double>::infinity();
    verdict.highest_loss = std::max(verdict.highest_loss, loss);
    if (i >= losses.size() - third) {
      verdict.end_loss += loss / static_cast<double>(third);
    }
  }
  // Between the middle of the last third and the first update.
  const double pictures = (count - 1 - (static_cast<double>(third) - 1) / 2) * pictures_per_update;
  verdict.fall = pictures > 0 ? 1000 * (verdict.start_loss - verdict.end_loss) / pictures : 0;
  if (!ended.empty()) {
    verdict.why = ended;
  } else if (!std::isfinite(verdict.highest_loss)) {
    verdict.why = "a loss is not finite";
  } else if (verdict.highest_loss > kFanSpike * verdict.start_loss) {
    verdict.why = "its loss rose to " + text_of(std::round(100 * verdict.highest_loss) / 100);
  } else if (verdict.end_loss > kFanLevel * verdict.start_loss) {
    verdict.why = "its loss ends above its start";
  }
  verdict.survives = verdict.why.empty();
  return verdict;
}

std::vector<FanEdge> fan_edges(const std::vector<FanResult>& results) {
  std::vector<std::string> labels;
  std::map<std::string, std::map<double, std::pair<int, int>>> counts;  // survived, all
  for (const FanResult& result : results) {
    const std::string& label = result.probe.method.label;
    if (!counts.contains(label)) {
      labels.push_back(label);
    }
    auto& [survived, all] = counts[label][result.probe.lr];
    survived += result.verdict.survives ? 1 : 0;
    all += 1;
  }
  std::vector<FanEdge> edges;
  for (const std::string& label : labels) {
    FanEdge edge;
    edge.label = label;
    for (const auto& [lr, count] : counts[label]) {
      if (2 * count.first > count.second) {
        edge.highest_surviving = lr;
      } else {
        edge.lowest_failing = lr;
        break;
      }
    }
    if (edge.highest_surviving > 0 && edge.lowest_failing > 0) {
      edge.edge = std::sqrt(edge.highest_surviving * edge.lowest_failing);
    }
    edges.push_back(edge);
  }
  return edges;
}

}  // namespace batchscope::train
