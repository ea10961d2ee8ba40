#include "app/weights_eps.h"

#include "storage/run_files.h"

#include <filesystem>

namespace batchscope::app {
namespace {

/// torchvision sets eps to 0 after it has loaded its first COCO weights (COCO_V1), with which they
/// were trained; nothing in the file says so but its name:
/// fasterrcnn_resnet50_fpn_coco-258fb6c6.pth.
bool is_coco_v1(const std::filesystem::path& weights) {
  return weights.filename().string().find("_resnet50_fpn_coco-") != std::string::npos;
}

/// The spec of the run whose checkpoint this is, as it lies in the run's folder.
std::optional<contract::RunSpec> spec_of_run(const std::filesystem::path& checkpoint) {
  const auto spec = checkpoint.parent_path().parent_path() / storage::kSpecFile;
  std::error_code ignored;
  if (checkpoint.extension() != ".ckpt" || !std::filesystem::exists(spec, ignored)) {
    return std::nullopt;
  }
  return contract::load_spec(spec.string());
}

}  // namespace

std::optional<double> weights_eps(const contract::ModelSection& model) {
  if (model.norm_eps || model.norm != "frozen" || model.weights.empty()) {
    return model.norm_eps;
  }
  if (const auto run = spec_of_run(model.weights)) {
    return weights_eps(run->model);  // runs of older engines have no such key
  }
  return is_coco_v1(model.weights) ? std::optional<double>(0) : std::nullopt;
}

}  // namespace batchscope::app
