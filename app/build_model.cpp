#include "app/build_model.h"

#include "engine/contract/error.h"
#include "models/weights/weight_error.h"

#include <filesystem>

namespace batchscope::app {

ClassCounts class_counts(const train::Dataset& dataset) {
  const std::int64_t things = dataset.things();
  return {things, static_cast<std::int64_t>(dataset.classes().size()) - things};
}

namespace {

/// torchvision sets eps to 0 after it has loaded its first COCO weights (COCO_V1), with which they
/// were trained; nothing in the file says so but its name:
/// fasterrcnn_resnet50_fpn_coco-258fb6c6.pth.
double norm_eps_of(const std::string& weights) {
  const bool coco_v1 = std::filesystem::path(weights).filename().string().find(
                           "_resnet50_fpn_coco-") != std::string::npos;
  return coco_v1 ? 0 : models::ModelOptions{}.norm_eps;
}

}  // namespace

std::shared_ptr<models::Detector> build_model(const contract::RunSpec& spec, ClassCounts classes) {
  models::ModelOptions options;
  options.name = spec.model.name;
  options.backbone = spec.model.backbone;
  options.norm = spec.model.norm;
  options.norm_eps = norm_eps_of(spec.model.weights);
  options.num_classes = classes.things;
  options.stuff_classes = classes.stuff;
  options.trainable_layers = spec.model.trainable_layers.value_or(-1);
  options.score_threshold = spec.model.score_threshold;
  options.nms_threshold = spec.model.nms_threshold;
  options.max_detections = spec.model.max_detections;
  options.min_stuff_area = spec.model.min_stuff_area;
  options.pretrained = !spec.model.weights.empty();
  options.min_size = spec.data.min_size;
  options.max_size = spec.data.max_size;
  options.seed = static_cast<std::uint64_t>(spec.run.seed);
  try {
    return models::make_detector(options);
  } catch (const std::invalid_argument& error) {
    throw contract::SpecError("model.name", error.what());
  }
}

models::LoadReport load_weights(models::Detector& model, const std::string& file) {
  try {
    return models::load_weights(model, models::TensorFile(file));
  } catch (const models::WeightError& error) {
    throw contract::DataError(error.what());
  }
}

StartModel start_model(const contract::RunSpec& spec, ClassCounts classes) {
  StartModel start{build_model(spec, classes), std::nullopt};
  if (!spec.model.weights.empty()) {
    start.loaded = load_weights(*start.model, spec.model.weights);
  }
  return start;
}

torch::Device device_of(const std::string& name, std::int64_t local_rank) {
  if (name == "cpu") {
    return torch::kCPU;
  }
  if (name != "cuda") {
    throw contract::SpecError("--device", "--device must be cpu or cuda, found \"" + name + "\".");
  }
  if (!torch::cuda::is_available()) {
    throw contract::SpecError(
        "--device", "--device cuda: this engine has no CUDA, or the machine has no such device.");
  }
  return torch::Device(torch::kCUDA,
                       static_cast<torch::DeviceIndex>(
                           local_rank % static_cast<std::int64_t>(torch::cuda::device_count())));
}

}  // namespace batchscope::app
