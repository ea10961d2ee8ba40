#include "app/bench_optim.h"

#include "app/bench_optim_rivals.h"
#include "app/bench_timing.h"
#include "app/json_output.h"
#include "engine/contract/error.h"
#include "optim/half_dots.h"
#include "optim/kernels/streams.h"

#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace batchscope {
namespace {

constexpr double kLr = 1e-9;  // the weights stay what they are

/// Arrays as long as the model for the streams that are the limits.
class Streams {
 public:
  explicit Streams(std::int64_t n) : n_(n) {
    for (torch::Tensor& array : arrays_) {
      array = torch::ones({n});
    }
  }
  void run(int bytes) {
    const auto at = [&](std::size_t i) { return arrays_[i].mutable_data_ptr<float>(); };
    namespace k = optim::kernels;
    switch (bytes) {
      case 8:
        sink_ = k::stream_8(at(0), at(1), n_);
        break;
      case 12:
        k::stream_12(at(0), at(1), n_);
        break;
      case 20:
        k::stream_20(at(0), at(1), at(2), n_);
        break;
      default:
        k::stream_28(at(0), at(1), at(2), at(3), n_);
    }
  }

 private:
  std::int64_t n_;
  torch::Tensor arrays_[4];
  double sink_ = 0;
};

/// What is timed against what.
struct Subject {
  std::string name;
  std::vector<int> streams;  // bytes of the passes whose sum is the limit
  Timed ours, with_guard, fused, naive;
};

Timed step_of(OptimBenchData& data, const optim::Options& options, bool measured) {
  std::shared_ptr<optim::Optimizer> optimizer =
      optim::make_optimizer(options, data.parameters, kBenchModules);
  optimizer->set_diagnostics(false);
  if (measured) {
    return [&data, optimizer] { optimizer->step_measured(data.grads, data.squares, kLr, data.mu); };
  }
  return [&data, optimizer] { optimizer->step(data.grads, kLr, data.mu); };
}

Subject optimizer_subject(OptimBenchData& data, optim::Method method) {
  optim::Options options;
  options.method = method;
  options.pmd_period = 20;
  options.eps = 1e-6;
  Subject s;
  s.name = optim::to_string(method);
  s.ours = step_of(data, options, true);
  s.with_guard = step_of(data, options, false);
  if (method == optim::Method::kSgd) {
    s.streams = {20};
    s.fused = torch_fused_sgd(data);
    s.naive = torch_frontend_sgd(data);
    return s;
  }
  s.fused = torch_fused_adamw(data);
  if (method == optim::Method::kLars) {
    s.streams = {8, 20};
  } else if (method == optim::Method::kAdamW) {
    s.streams = {28};
    s.naive = torch_frontend_adamw(data);
  } else {
    s.streams = {28, 12};
    s.naive = naive_lamb(data);
  }
  return s;
}

std::vector<std::function<Subject(OptimBenchData&)>> subjects(const BenchOptimOptions& o) {
  std::vector<std::function<Subject(OptimBenchData&)>> list;
  const auto wanted = [&](const std::string& name) {
    return o.only.empty() || std::find(o.only.begin(), o.only.end(), name) != o.only.end();
  };
  for (const char* name : {"sgd", "adamw", "lars", "lamb", "pmd_lamb"}) {
    if (wanted(name)) {
      const optim::Method method = optim::method_from(name);
      list.emplace_back([method](OptimBenchData& data) { return optimizer_subject(data, method); });
    }
  }
  const auto halves = [&](const char* name, int bytes, auto ours) {
    if (wanted(name)) {
      list.push_back([name, bytes, ours](OptimBenchData& data) {
        return Subject{name, {bytes}, [&data, ours] { ours(data); }, {}, {}, naive_half_dots(data)};
      });
    }
  };
  halves("agvm_stats", 8, [](OptimBenchData& data) {
    optim::tensor_dots(data.grads, data.other_grads);
  });
  halves("agvm_stats_mean", 12, [](OptimBenchData& data) {
    optim::halves_mean(data.grads, data.other_grads, 0.5, /*in_place=*/true);
  });
  return list;
}

/// Right after one another, so that a pair sees one and the same machine.
OptimTiming measure_subject(const Subject& s, OptimBenchData& data, Streams& streams, int rounds) {
  const auto best_of_two = [&](const Timed& f) {
    data.refill();
    const double first = milliseconds(f);
    data.refill();
    return std::min(first, milliseconds(f));
  };
  const Timed limit = [&] {
    for (const int bytes : s.streams) {
      streams.run(bytes);
    }
  };
  OptimTiming timing;
  timing.name = s.name;
  std::vector<double> ours, limits, to_limit, to_fused, to_naive, guarded, guarded_to_limit;
  for (int round = -1; round < rounds; ++round) {
    const double stream_ms = std::min(milliseconds(limit), milliseconds(limit));
    const double ms = best_of_two(s.ours);
    const double guard_ms = s.with_guard ? best_of_two(s.with_guard) : ms;
    const double fused_ms = s.fused ? best_of_two(s.fused) : ms;
    const double naive_ms = s.naive ? best_of_two(s.naive) : ms;
    if (round < 0) {
      continue;  // first touches
    }
    ours.push_back(ms);
    limits.push_back(stream_ms);
    to_limit.push_back(stream_ms / ms);
    to_fused.push_back(ms / fused_ms);
    to_naive.push_back(ms / naive_ms);
    guarded.push_back(guard_ms);
    guarded_to_limit.push_back(stream_ms / guard_ms);
  }
  timing.ms = median(ours);
  timing.limit_ms = median(limits);
  timing.limit_ratio = median(to_limit);
  for (const int bytes : s.streams) {
    timing.bytes += bytes;
  }
  if (s.fused) {
    timing.vs_torch_fused = median(to_fused);
  }
  if (s.naive) {
    timing.vs_naive = median(to_naive);
  }
  if (s.with_guard) {
    timing.with_guard_ms = median(guarded);
    timing.with_guard_limit_ratio = median(guarded_to_limit);
  }
  return timing;
}

std::string wait_policy() {
  const char* policy = std::getenv("OMP_WAIT_POLICY");
  return policy == nullptr ? "default" : policy;
}

std::string text(const std::optional<double>& value) {
  char buffer[32] = "-";
  if (value) {
    std::snprintf(buffer, sizeof buffer, "%.3f", *value);
  }
  return buffer;
}

void print(const BenchOptimOptions& o, const std::vector<OptimTiming>& timings) {
  std::printf(
      "One update of Faster R-CNN R50-FPN's 189 tensors, %lld thread(s), wait policy %s, %lld "
      "rounds\n",
      static_cast<long long>(o.threads),
      wait_policy().c_str(),
      static_cast<long long>(o.rounds));
  std::printf("%-16s %8s %9s %12s %14s %9s %14s\n",
              "",
              "ms",
              "GB/s",
              "limit/ours",
              "vs torch fused",
              "vs naive",
              "with guard, ms");
  const double elements = 41.808406e6;
  for (const OptimTiming& t : timings) {
    std::printf("%-16s %8.2f %9.1f %12.3f %14s %9s %14s\n",
                t.name.c_str(),
                t.ms,
                o.shrink == 1 ? t.bytes * elements / t.ms / 1e6 : 0.0,
                t.limit_ratio,
                text(t.vs_torch_fused).c_str(),
                text(t.vs_naive).c_str(),
                text(t.with_guard_ms).c_str());
  }
}

nlohmann::json to_json(const BenchOptimOptions& o, const std::vector<OptimTiming>& timings) {
  const auto maybe = [](const std::optional<double>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json();
  };
  nlohmann::json results = nlohmann::json::array();
  for (const OptimTiming& t : timings) {
    results.push_back({{"name", t.name},
                       {"ms", t.ms},
                       {"limit_ms", t.limit_ms},
                       {"limit_ratio", t.limit_ratio},
                       {"limit_bytes_per_parameter", t.bytes},
                       {"vs_torch_fused", maybe(t.vs_torch_fused)},
                       {"vs_naive", maybe(t.vs_naive)},
                       {"with_guard_ms", maybe(t.with_guard_ms)},
                       {"with_guard_limit_ratio", maybe(t.with_guard_limit_ratio)},
                       {"threads", o.threads},
                       {"device", "cpu"},
                       {"rounds", o.rounds},
                       {"wait_policy", wait_policy()}});
  }
  return {{"bench", "optim"}, {"results", results}};
}

}  // namespace

std::vector<OptimTiming> measure_optim(const BenchOptimOptions& o) {
  if (std::min({o.threads, o.rounds, o.shrink}) < 1) {
    throw contract::SpecError("bench", "bench optim: threads and rounds must be at least 1");
  }
  at::set_num_threads(static_cast<int>(o.threads));
  OptimBenchData data(frcnn_shapes(o.shrink));
  Streams streams(data.elements);
  std::vector<OptimTiming> timings;
  for (const auto& make : subjects(o)) {
    // One subject with its peers at a time: their states would not fit beside each other.
    timings.push_back(measure_subject(make(data), data, streams, static_cast<int>(o.rounds)));
  }
  return timings;
}

void add_bench_optim(CLI::App& bench) {
  auto options = std::make_shared<BenchOptimOptions>();
  auto json_file = std::make_shared<std::string>();
  CLI::App* optim = bench.add_subcommand("optim",
                                         "Time one update of each optimizer over Faster R-CNN's "
                                         "tensors, beside the memory's limit and "
                                         "torch's optimizers");
  optim->add_option("--threads", options->threads, "Threads of all subjects")
      ->capture_default_str();
  optim->add_option("--rounds", options->rounds, "Pairs of which the medians are taken")
      ->capture_default_str();
  optim->add_option("--only", options->only, "Names of what to measure; all if not given");
  CLI::Option* json =
      optim->add_option("--json", *json_file, "JSON to stdout, or to a file")->expected(0, 1);
  optim->callback([options, json_file, json] {
    const std::vector<OptimTiming> timings = measure_optim(*options);
    json->count() > 0 ? write_json(to_json(*options, timings), *json_file)
                      : print(*options, timings);
  });
}

}  // namespace batchscope
