#include "engine/train/probes.h"

#include "engine/contract/error.h"
#include "engine/contract/stored_predictions.h"
#include "engine/data/loader.h"
#include "engine/data/transforms.h"
#include "engine/train/evaluator.h"
#include "engine/train/found_objects.h"

#include <algorithm>
#include <png.h>
#include <unordered_map>

namespace batchscope::train {
namespace {

constexpr std::int64_t kLongSide = 384;

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

/// label, length, label, length, …
std::vector<std::uint32_t> runs_of(const LabelMap& map) {
  std::vector<std::uint32_t> runs;
  for (const std::uint32_t label : map.labels) {
    if (!runs.empty() && runs[runs.size() - 2] == label) {
      ++runs.back();
    } else {
      runs.insert(runs.end(), {label, 1});
    }
  }
  return runs;
}

/// The category of each pixel in place of its segment.
LabelMap classes_of_pixels(PanopticTruth panoptic) {
  std::unordered_map<std::uint32_t, std::uint32_t> classes;
  for (const PanopticSegment& segment : panoptic.segments) {
    classes[segment.id] = static_cast<std::uint32_t>(segment.category);
  }
  for (std::uint32_t& label : panoptic.map.labels) {
    label = classes[label];
  }
  return std::move(panoptic.map);
}

/// A map of another size by nearest pixel.
LabelMap resized(const LabelMap& map, std::int64_t height, std::int64_t width) {
  const torch::Tensor labels =
      torch::tensor(std::vector<std::int64_t>(map.labels.begin(), map.labels.end()), torch::kInt64)
          .view({map.height, map.width});
  const torch::Tensor small = resize_labels(labels, height, width).contiguous();
  const auto* label = small.const_data_ptr<std::int64_t>();
  return {static_cast<std::uint32_t>(height),
          static_cast<std::uint32_t>(width),
          {label, label + small.numel()}};
}

std::vector<std::uint32_t> mask_runs(const Rle& mask, std::int64_t height, std::int64_t width) {
  const torch::Tensor pixels =
      torch::tensor(rle_to_mask(mask), torch::kUInt8).view({mask.height, mask.width});
  const torch::Tensor small = resize_labels(pixels, height, width).contiguous();
  return rle_from_mask(
             {small.const_data_ptr<std::uint8_t>(), static_cast<std::size_t>(small.numel())},
             static_cast<std::uint32_t>(height),
             static_cast<std::uint32_t>(width))
      .counts;
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

namespace {

/// Picture `index`, or the next one that can be read, with `index` on it.
std::optional<Sample> next_readable(const Dataset& dataset,
                                    std::int64_t& index,
                                    std::int64_t pictures) {
  for (std::int64_t tries = 0; tries < pictures; ++tries, index = (index + 1) % pictures) {
    try {
      return dataset.get(index);
    } catch (const contract::DataError&) {
      // The evaluation tells.
    }
  }
  return std::nullopt;
}

}  // namespace

Probes::Probes(const Dataset& dataset, std::int64_t count, EvalOptions options)
    : options_(std::move(options)) {
  const std::int64_t pictures =
      options_.max_pictures > 0 ? std::min(options_.max_pictures, dataset.size()) : dataset.size();
  count = std::min(count, pictures);
  for (std::int64_t p = 0; p < count; ++p) {
    std::int64_t index = p * pictures / count;
    const std::optional<Sample> readable = next_readable(dataset, index, pictures);
    if (!readable) {
      continue;
    }
    const Sample& sample = *readable;
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
    const std::vector<TruthBox> truth = dataset.truth(index);
    const std::optional<std::vector<Rle>> masks = dataset.truth_masks(index);
    for (std::size_t k = 0; k < truth.size(); ++k) {
      const TruthBox& t = truth[k];
      if (!t.crowd && masks) {
        probe.record.pixels.masks.push_back(
            mask_runs((*masks)[k], probe.record.height, probe.record.width));
      }
      if (!t.crowd) {
        probe.record.truth.push_back({static_cast<float>(t.x * x),
                                      static_cast<float>(t.y * y),
                                      static_cast<float>((t.x + t.w) * x),
                                      static_cast<float>((t.y + t.h) * y),
                                      static_cast<std::int32_t>(t.label),
                                      1.0F});
      }
    }
    if (const auto labels = dataset.semantic_truth(index)) {
      probe.record.pixels.labels =
          runs_of(resized(*labels, probe.record.height, probe.record.width));
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
    const models::Detection detection =
        model.detect(batch, {{probe.input.size(1), probe.input.size(2)}}).at(0);
    FoundObjects found = found_objects(
        detection,
        {0, probe.record.height, probe.record.width, 1 / probe.scale_x, 1 / probe.scale_y},
        [](std::int64_t label) { return label; });
    contract::PredictionRecord prediction{probe.record.probe, segment, step, {}, {}};
    for (std::size_t k = 0; k < found.objects.size() && k < contract::kMostStoredBoxes; ++k) {
      const EvalDetection& d = found.objects[k];
      if (d.score < contract::kLowestStoredScore) {
        break;  // they come best first
      }
      prediction.boxes.push_back({static_cast<float>(d.x),
                                  static_cast<float>(d.y),
                                  static_cast<float>(d.x + d.w),
                                  static_cast<float>(d.y + d.h),
                                  static_cast<std::int32_t>(d.category),
                                  static_cast<float>(d.score)});
      if (!found.masks.empty()) {
        prediction.pixels.masks.push_back(std::move(found.masks[k].counts));
      }
    }
    if (found.segments) {
      prediction.pixels.labels = runs_of(classes_of_pixels(*found.segments));
    } else if (found.semantic) {
      prediction.pixels.labels = runs_of(*found.semantic);
    }
    predictions.push_back(std::move(prediction));
  }
  model.train();
  return predictions;
}

}  // namespace batchscope::train
