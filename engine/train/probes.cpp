#include "engine/contract/error.h"
#include "engine/data/loader.h"
#include "engine/train/evaluator.h"

#include <algorithm>
#include <png.h>

namespace batchscope::train {
namespace {

constexpr std::int64_t kLongSide = 384;
constexpr double kLowestScore = 0.05;
constexpr std::int64_t kMostBoxes = 50;

torch::Tensor as_bytes(const torch::Tensor& image) {
  if (image.scalar_type() == torch::kUInt8) {
    return image;
  }
  return image.mul(255).round().clamp(0, 255).to(torch::kUInt8);
}

/// The picture with its long side at most kLongSide.
torch::Tensor shrink(const torch::Tensor& image) {
  const std::int64_t longest = std::max(image.size(1), image.size(2));
  if (longest <= kLongSide) {
    return image;
  }
  const std::vector<std::int64_t> size = {
      std::max<std::int64_t>(1, image.size(1) * kLongSide / longest),
      std::max<std::int64_t>(1, image.size(2) * kLongSide / longest)};
  return torch::adaptive_avg_pool2d(image.to(torch::kFloat32).unsqueeze(0), size)
      .squeeze(0)
      .round()
      .clamp(0, 255)
      .to(torch::kUInt8);
}

}  // namespace

std::string encode_png(const torch::Tensor& image) {
  const torch::Tensor pixels = as_bytes(image).permute({1, 2, 0}).contiguous();
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(pixels.size(1));
  header.height = static_cast<png_uint_32>(pixels.size(0));
  header.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(
          &header, bytes.data(), &size, 0, pixels.const_data_ptr(), 0, nullptr) == 0) {
    throw contract::DataError(std::string("A probe picture could not be encoded: ") +
                              header.message + ".");
  }
  bytes.resize(size);
  return bytes;
}

Probes::Probes(const Dataset& dataset, std::int64_t count, EvalOptions options)
    : options_(std::move(options)) {
  count = std::min(count, dataset.size());
  for (std::int64_t p = 0; p < count; ++p) {
    const std::int64_t index = p * dataset.size() / count;
    const Sample sample = dataset.get(index);
    const torch::Tensor shown = shrink(as_bytes(sample.image));
    const PreparedPicture prepared = prepare_picture(sample.image, options_.transform);
    const double x = static_cast<double>(shown.size(2)) / static_cast<double>(sample.image.size(2));
    const double y = static_cast<double>(shown.size(1)) / static_cast<double>(sample.image.size(1));
    Probe probe;
    probe.input = prepared.image;
    probe.scale_x = x / prepared.scale_x;
    probe.scale_y = y / prepared.scale_y;
    probe.record.probe = p;
    probe.record.name = sample.name;
    probe.record.width = static_cast<std::int32_t>(shown.size(2));
    probe.record.height = static_cast<std::int32_t>(shown.size(1));
    probe.record.png = encode_png(shown);
    for (const TruthBox& t : dataset.truth(index)) {
      if (!t.crowd) {
        probe.record.truth.push_back({static_cast<float>(t.x * x),
                                      static_cast<float>(t.y * y),
                                      static_cast<float>((t.x + t.w) * x),
                                      static_cast<float>((t.y + t.h) * y),
                                      static_cast<std::int32_t>(t.label),
                                      1.0F});
      }
    }
    probes_.push_back(std::move(probe));
  }
}

std::vector<contract::ProbeRecord> Probes::records() const {
  std::vector<contract::ProbeRecord> records;
  for (const Probe& probe : probes_) {
    records.push_back(probe.record);
  }
  return records;
}

std::vector<contract::PredictionRecord> Probes::predict(models::Detector& model,
                                                        std::int64_t segment,
                                                        std::int64_t step) const {
  std::vector<contract::PredictionRecord> predictions;
  model.eval();
  for (const Probe& probe : probes_) {
    const torch::Tensor batch = pad_batch({probe.input}, options_.transform.size_divisor)
                                    .to(options_.device, options_.dtype);
    const models::Detection found =
        model.detect(batch, {{probe.input.size(1), probe.input.size(2)}}).at(0);
    const auto boxes = found.boxes.to(torch::kCPU, torch::kFloat32).contiguous();
    const auto labels = found.labels.to(torch::kCPU, torch::kInt64).contiguous();
    const auto scores = found.scores.to(torch::kCPU, torch::kFloat32).contiguous();
    contract::PredictionRecord prediction{probe.record.probe, segment, step, {}};
    for (std::int64_t k = 0; k < std::min(boxes.size(0), kMostBoxes); ++k) {
      const float* box = boxes.const_data_ptr<float>() + 4 * k;
      const float score = scores.const_data_ptr<float>()[k];
      if (score >= kLowestScore) {
        prediction.boxes.push_back(
            {static_cast<float>(box[0] * probe.scale_x),
             static_cast<float>(box[1] * probe.scale_y),
             static_cast<float>(box[2] * probe.scale_x),
             static_cast<float>(box[3] * probe.scale_y),
             static_cast<std::int32_t>(labels.const_data_ptr<std::int64_t>()[k]),
             score});
      }
    }
    predictions.push_back(std::move(prediction));
  }
  model.train();
  return predictions;
}

}  // namespace batchscope::train
