#include "app/build_model.h"
#include "app/doctor.h"
#include "app/engine_commands.h"
#include "app/json_output.h"
#include "engine/contract/error.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <memory>

namespace batchscope::app {
namespace {

struct DoctorArguments {
  std::string device = "cpu", file;
  std::int64_t threads = 0;
};

void print(const std::vector<Finding>& findings, const std::string& device) {
  std::printf("Kernels on %s against plain float64 loops, %d thread(s)\n",
              device.c_str(),
              at::get_num_threads());
  std::printf(
      "%-34s %-7s %11s %9s %7s  %s\n", "", "dtype", "max error", "bound", "GB/s", "verdict");
  for (const Finding& f : findings) {
    char error[32] = "-", bound[32] = "-", speed[32] = "-";
    if (f.bound > 0) {
      std::snprintf(error, sizeof error, "%.1e", f.error);
      std::snprintf(bound, sizeof bound, "%.0e", f.bound);
    }
    if (f.gb_per_s > 0) {
      std::snprintf(speed, sizeof speed, "%.1f", f.gb_per_s);
    }
    std::printf("%-34s %-7s %11s %9s %7s  %s\n",
                f.check.c_str(),
                f.dtype.c_str(),
                error,
                bound,
                speed,
                f.passed ? "ok" : "FAILED");
  }
}

nlohmann::json to_json(const std::vector<Finding>& findings, const std::string& device) {
  nlohmann::json results = nlohmann::json::array();
  for (const Finding& f : findings) {
    results.push_back({{"check", f.check},
                       {"dtype", f.dtype},
                       {"max_error", f.error},
                       {"bound", f.bound},
                       {"gb_per_s", f.gb_per_s},
                       {"passed", f.passed}});
  }
  return {{"doctor", device}, {"threads", at::get_num_threads()}, {"results", results}};
}

}  // namespace

void add_doctor_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Compare the optimizers' kernels with plain loops on this machine, and measure it");
  const auto arguments = std::make_shared<DoctorArguments>();
  command->add_option("--device", arguments->device, "cpu or cuda")->capture_default_str();
  command->add_option("--threads", arguments->threads, "Threads; torch's number if not given")
      ->check(CLI::PositiveNumber);
  CLI::Option* json = command->add_option("--json", arguments->file, "To stdout, or to this file");
  json->expected(0, 1);
  command->callback([arguments, json, &exit_code] {
    if (arguments->threads > 0) {
      at::set_num_threads(static_cast<int>(arguments->threads));
    }
    const std::vector<Finding> findings = examine(device_of(arguments->device, 0));
    json->count() > 0 ? write_json(to_json(findings, arguments->device), arguments->file)
                      : print(findings, arguments->device);
    const bool well =
        std::all_of(findings.begin(), findings.end(), [](const Finding& f) { return f.passed; });
    if (!well) {
      exit_code = static_cast<int>(contract::ExitCode::kData);
    }
  });
}

}  // namespace batchscope::app
