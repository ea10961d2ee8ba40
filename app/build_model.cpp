#include "app/build_model.h"

#include "engine/contract/error.h"
#include "engine/train/trainer.h"

namespace batchscope::app {

std::shared_ptr<models::Detector> build_model(const contract::RunSpec& spec, std::int64_t classes) {
  models::ModelOptions options;
  options.name = spec.model.name;
  options.backbone = spec.model.backbone;
  options.norm = spec.model.norm;
  options.num_classes = classes;
  options.trainable_layers = spec.model.trainable_layers.value_or(-1);
  options.min_size = spec.data.min_size;
  options.max_size = spec.data.max_size;
  options.seed = static_cast<std::uint64_t>(spec.run.seed);
  std::shared_ptr<models::Detector> model;
  try {
    model = models::make_detector(options);
  } catch (const std::invalid_argument& error) {
    throw contract::SpecError("model.name", error.what());
  }
  if (!spec.model.weights.empty()) {
    const std::filesystem::path file = spec.model.weights;
    train::load_model(*model,
                      train::decode_state(train::read_bytes(file), file.filename().string()),
                      file.filename().string());
  }
  return model;
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
