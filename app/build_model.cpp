#include "app/build_model.h"

#include "app/weights_eps.h"
#include "engine/contract/error.h"
#include "models/factory.h"
#include "models/weights/weight_error.h"

#include <torch/cuda.h>

namespace batchscope::app {

ClassCounts class_counts(const train::Dataset& dataset) {
  const std::int64_t things = dataset.things();
  return {things, static_cast<std::int64_t>(dataset.classes().size()) - things};
}

namespace {

models::RpnChanges changes(const contract::RpnSection& s) {
  return {.pre_nms_top_n_train = s.pre_nms_top_n_train,
          .pre_nms_top_n_test = s.pre_nms_top_n_test,
          .post_nms_top_n_train = s.post_nms_top_n_train,
          .post_nms_top_n_test = s.post_nms_top_n_test,
          .nms_threshold = s.nms_threshold,
          .score_threshold = s.score_threshold,
          .fg_iou_threshold = s.fg_iou_threshold,
          .bg_iou_threshold = s.bg_iou_threshold,
          .batch_size_per_image = s.batch_size_per_image,
          .positive_fraction = s.positive_fraction};
}

models::BoxChanges changes(const contract::BoxSection& s) {
  return {.fg_iou_threshold = s.fg_iou_threshold,
          .bg_iou_threshold = s.bg_iou_threshold,
          .batch_size_per_image = s.batch_size_per_image,
          .positive_fraction = s.positive_fraction,
          .reg_weights = s.reg_weights,
          .pool_size = s.pool_size,
          .sampling_ratio = s.sampling_ratio};
}

models::ModelOptions model_options(const contract::RunSpec& spec, ClassCounts classes) {
  const contract::ModelSection& m = spec.model;
  return {.name = m.name,
          .backbone = m.backbone,
          .norm = m.norm,
          .norm_eps = weights_eps(m).value_or(models::ModelOptions{}.norm_eps),
          .num_classes = classes.things,
          .stuff_classes = classes.stuff,
          .trainable_layers = m.trainable_layers.value_or(-1),
          .pretrained = !m.weights.empty(),
          .min_size = spec.data.min_size,
          .max_size = spec.data.max_size,
          .image_mean = m.image_mean,
          .image_std = m.image_std,
          .score_threshold = m.score_threshold,
          .nms_threshold = m.nms_threshold,
          .max_detections = m.max_detections,
          .min_stuff_area = m.min_stuff_area,
          .anchors = {m.anchors.sizes, m.anchors.scales, m.anchors.aspect_ratios},
          .rpn = changes(m.rpn),
          .box = changes(m.box),
          .mask_pool_size = m.mask.pool_size,
          .retinanet = {m.retinanet.fg_iou_threshold,
                        m.retinanet.bg_iou_threshold,
                        m.retinanet.topk_candidates},
          .seed = static_cast<std::uint64_t>(spec.run.seed)};
}

/// "model.rpn.nms_threshold: …" is about that key, other sentences about the model's name.
std::string field_of(const std::string& sentence) {
  const auto end = sentence.find(':');
  return sentence.starts_with("model.") && end != std::string::npos ? sentence.substr(0, end)
                                                                    : "model.name";
}

}  // namespace

std::shared_ptr<models::Detector> build_model(const contract::RunSpec& spec, ClassCounts classes) {
  try {
    return models::make_detector(model_options(spec, classes));
  } catch (const std::invalid_argument& error) {
    throw contract::SpecError(field_of(error.what()), error.what());
  }
}

models::LoadReport load_weights(models::Detector& model,
                                const std::string& file,
                                const std::string& key) {
  try {
    return models::load_weights(model, models::TensorFile(file, key));
  } catch (const models::WeightError& error) {
    throw contract::DataError(error.what());
  }
}

StartModel start_model(const contract::RunSpec& spec, ClassCounts classes) {
  StartModel start{build_model(spec, classes), std::nullopt};
  if (!spec.model.weights.empty()) {
    start.loaded = load_weights(*start.model, spec.model.weights, spec.model.weights_key);
  }
  return start;
}

torch::Device device_of(const std::string& name, std::int64_t local_rank) {
  if (name == "cpu" || (name == "auto" && !torch::cuda::is_available())) {
    return torch::kCPU;
  }
  if (name != "cuda" && name != "auto") {
    throw contract::SpecError("--device",
                              "--device must be auto, cpu or cuda, found \"" + name + "\".");
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
