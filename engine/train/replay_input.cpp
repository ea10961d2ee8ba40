#include "engine/train/replay_input.h"

#include "engine/contract/error.h"
#include "models/weights/weight_error.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace batchscope::train {
namespace {

using models::shape_text;
using models::shown;
using models::TensorFile;
using models::TensorType;

constexpr const char* kModules = "modules";
constexpr std::int64_t kMostSteps = 100'000'000;
constexpr std::int64_t kMostSilent = 1000;  // steps without any gradient that no one doubts

[[noreturn]] void refuse(const TensorFile& file, const std::string& why) {
  throw contract::DataError("Tensor file " + file.origin() + " " + why + ".");
}

bool is_float(TensorType type) {
  return type == TensorType::kF64 || type == TensorType::kF32 || type == TensorType::kF16 ||
         type == TensorType::kBF16;
}

/// A step as it is written in names: digits without a leading zero, from 1; 0 if it is none.
std::int64_t step_of(const std::string& digits) {
  std::int64_t step = 0;
  const char* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, step);
  const bool plain = !digits.empty() && digits[0] >= '1' && digits[0] <= '9';
  return plain && error == std::errc() && rest == end && step <= kMostSteps ? step : 0;
}

}  // namespace

ReplayInput::ReplayInput(const std::filesystem::path& path, torch::Device device)
    : file_(path), device_(device) {
  read_parameters();
  name_modules();
  check_gradients();
}

ReplayInput::Name ReplayInput::parse(const std::string& name) const {
  Name parts;
  const std::size_t slash = name.find('/');
  parts.kind = name.substr(0, slash);
  std::string rest = slash == std::string::npos ? "" : name.substr(slash + 1);
  const bool gradient = parts.kind == "grad" || parts.kind == "grad_a" || parts.kind == "grad_b";
  if (gradient) {
    const std::size_t second = rest.find('/');
    parts.step = step_of(rest.substr(0, second));
    rest = second == std::string::npos ? "" : rest.substr(second + 1);
  }
  if (rest.empty() || (gradient && parts.step == 0) || (!gradient && parts.kind != "param")) {
    refuse(file_,
           "has a tensor " + shown(name) +
               ", expected param/NAME, grad/T/NAME, grad_a/T/NAME or grad_b/T/NAME with T = 1, "
               "2, …");
  }
  parts.parameter = rest;
  return parts;
}

void ReplayInput::read_parameters() {
  bool wide = false, narrow = false;
  for (const auto& [name, entry] : file_.entries()) {
    const Name parts = parse(name);
    if (!is_float(entry.type)) {
      refuse(file_,
             "has tensor " + shown(name) + " of dtype " + models::type_name(entry.type) +
                 ", expected F64, F32, F16 or BF16");
    }
    if (parts.kind == "param") {
      parameters_.push_back({parts.parameter, 0, {}});
      types_.push_back(entry.type);
      (entry.type == TensorType::kF64 ? wide : narrow) = true;
    }
  }
  if (parameters_.empty()) {
    refuse(file_, "holds no parameter (param/NAME)");
  }
  if (wide && narrow) {
    refuse(file_, "mixes F64 with narrower parameters: one precision is expected");
  }
  dtype_ = wide ? torch::kFloat64 : torch::kFloat32;
  for (optim::Parameter& parameter : parameters_) {
    parameter.tensor = file_.read("param/" + parameter.name).to(device_, dtype_);
  }
}

void ReplayInput::name_modules() {
  const auto listed = file_.metadata().find(kModules);
  if (listed != file_.metadata().end()) {
    const auto names = nlohmann::json::parse(listed->second, nullptr, false);
    const auto is_word = [](const nlohmann::json& name) { return name.is_string(); };
    if (!names.is_array() || !std::ranges::all_of(names, is_word)) {
      refuse(file_, "has modules in its metadata that are not a JSON array of strings");
    }
    modules_ = names.get<std::vector<std::string>>();
  }
  for (optim::Parameter& parameter : parameters_) {
    const std::string module = parameter.name.substr(0, parameter.name.find('.'));
    auto found = std::ranges::find(modules_, module);
    if (found == modules_.end() && listed != file_.metadata().end()) {
      refuse(file_,
             "has parameter " + shown(parameter.name) + ", whose module " + shown(module) +
                 " is not in the list of its metadata");
    }
    if (found == modules_.end()) {
      found = modules_.insert(modules_.end(), module);
    }
    parameter.module = found - modules_.begin();
  }
  for (auto name = modules_.begin(); name != modules_.end(); ++name) {
    if (std::find(modules_.begin(), name, *name) != name) {
      refuse(file_, "lists module " + shown(*name) + " twice in its metadata");
    }
  }
}

void ReplayInput::check_gradients() {
  std::int64_t present = 0;
  for (const auto& [name, entry] : file_.entries()) {
    const Name parts = parse(name);
    if (parts.kind == "param") {
      continue;
    }
    const auto parameter = file_.entries().find("param/" + parts.parameter);
    if (parameter == file_.entries().end()) {
      refuse(file_, "has " + shown(name) + ", but no " + shown("param/" + parts.parameter));
    }
    if (entry.shape != parameter->second.shape) {
      refuse(file_,
             "has " + shown(name) + " of shape " + shape_text(entry.shape) +
                 ", its parameter has " + shape_text(parameter->second.shape));
    }
    const bool half = parts.kind != "grad";
    const auto [known, is_new] = halves_.emplace(parts.step, half);
    if (!is_new && known->second != half) {
      refuse(file_,
             "has both whole gradients (grad) and halves (grad_a, grad_b) in step " +
                 std::to_string(parts.step));
    }
    present += is_new ? 1 : 0;
    steps_ = std::max(steps_, parts.step);
  }
  if (present == 0) {
    refuse(file_, "holds no gradient (grad/T/NAME)");
  }
  if (steps_ - present > std::max(present, kMostSilent)) {
    refuse(file_,
           "holds gradients up to step " + std::to_string(steps_) + ", but of " +
               std::to_string(present) + " steps only");
  }
}

torch::Tensor ReplayInput::gradient(const char* kind,
                                    std::int64_t step,
                                    std::size_t parameter) const {
  const std::string name =
      std::string(kind) + "/" + std::to_string(step) + "/" + parameters_[parameter].name;
  return file_.entries().contains(name) ? file_.read(name).to(device_, dtype_)
                                        : torch::zeros_like(parameters_[parameter].tensor);
}

ReplayGradients ReplayInput::gradients(std::int64_t step) const {
  ReplayGradients found;
  const auto known = halves_.find(step);
  found.halves = known != halves_.end() && known->second;
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    if (found.halves) {
      found.half1.push_back(gradient("grad_a", step, p));
      found.half2.push_back(gradient("grad_b", step, p));
      found.mean.push_back((found.half1.back() + found.half2.back()).mul_(0.5));
    } else {
      found.mean.push_back(gradient("grad", step, p));
    }
  }
  return found;
}

}  // namespace batchscope::train
