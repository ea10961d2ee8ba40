#pragma once

#include "models/weights/tensor_file.h"
#include "optim/optimizer.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace batchscope::train {

/// The gradients of one step, one tensor per parameter, zero where the file has none.
struct ReplayGradients {
  bool halves = false;
  std::vector<torch::Tensor> mean;
  std::vector<torch::Tensor> half1, half2;  // empty without halves
};

/// The tensors of a replay (docs/optim-replay.md): starting weights "param/NAME" and the gradients
/// of the steps, "grad/T/NAME" or "grad_a/T/NAME" and "grad_b/T/NAME". One thread.
class ReplayInput {
 public:
  /// Throws contract::DataError or models::WeightError: one sentence about the file or the tensor
  /// at fault.
  ReplayInput(const std::filesystem::path& path, torch::Device device);

  std::int64_t steps() const { return steps_; }
  const std::vector<std::string>& modules() const { return modules_; }
  /// Sorted by name; float32 unless the file's are float64.
  const std::vector<optim::Parameter>& parameters() const { return parameters_; }
  /// Of each parameter in the file.
  const std::vector<models::TensorType>& types() const { return types_; }
  /// step: 1 to steps().
  ReplayGradients gradients(std::int64_t step) const;

 private:
  struct Name {
    std::string kind, parameter;
    std::int64_t step = 0;
  };
  Name parse(const std::string& name) const;
  void read_parameters();
  void name_modules();
  void check_gradients();
  torch::Tensor gradient(const char* kind, std::int64_t step, std::size_t parameter) const;

  models::TensorFile file_;
  torch::Device device_;
  torch::ScalarType dtype_ = torch::kFloat32;
  std::int64_t steps_ = 0;
  std::vector<std::string> modules_;
  std::vector<optim::Parameter> parameters_;
  std::vector<models::TensorType> types_;
  std::map<std::int64_t, bool> halves_;  // of the steps that have a gradient
};

}  // namespace batchscope::train
