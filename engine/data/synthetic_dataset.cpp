#include "engine/data/synthetic_dataset.h"

#include "engine/contract/error.h"
#include "engine/data/draw_random.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <span>
#include <stdexcept>
#include <utility>

namespace batchscope::train {
namespace {

constexpr int kAttempts = 15;  // to place one more shape beside the others

/// A shape: its box and its class 0 square, 1 disc, 2 triangle with the apex on top.
struct Shape {
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  std::int64_t kind = 0;

  bool apart_from(const Shape& o) const { return x2 < o.x1 || o.x2 < x1 || y2 < o.y1 || o.y2 < y1; }
  /// Whether the point (x, y), in pixels, lies in the shape.
  bool covers(float x, float y) const {
    const float side = x2 - x1, cx = (x1 + x2) / 2, cy = (y1 + y2) / 2;
    const float dx = std::abs(x - cx), dy = std::abs(y - cy);
    switch (kind) {
      case 0:
        return dx <= side / 2 && dy <= side / 2;
      case 1:
        return dx * dx + dy * dy <= side * side / 4;
      default:
        return dy <= side / 2 && dx <= (y - (cy - side / 2)) / 2;
    }
  }
  /// Calls visit(row, column) for each pixel whose centre is covered.
  template <typename Visit>
  void each_pixel(std::int64_t size, Visit visit) const {
    const auto bound = [size](float v) {
      return std::clamp(static_cast<std::int64_t>(v), std::int64_t{0}, size - 1);
    };
    for (std::int64_t row = bound(y1); row <= bound(y2); ++row) {
      for (std::int64_t column = bound(x1); column <= bound(x2); ++column) {
        if (covers(static_cast<float>(column) + 0.5F, static_cast<float>(row) + 0.5F)) {
          visit(row, column);
        }
      }
    }
  }
};

std::vector<Shape> place_shapes(const SyntheticOptions& options, DrawRandom& random) {
  std::vector<Shape> shapes;
  const auto count = 1 + random.below(static_cast<std::uint64_t>(options.max_objects));
  const auto size = static_cast<double>(options.size);
  for (std::uint64_t k = 0; k < count; ++k) {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const double side = random.uniform(options.min_object, options.max_object);
      const double cx = random.uniform(side / 2, size - side / 2);
      const double cy = random.uniform(side / 2, size - side / 2);
      Shape shape{static_cast<float>(cx - side / 2),
                  static_cast<float>(cy - side / 2),
                  static_cast<float>(cx + side / 2),
                  static_cast<float>(cy + side / 2)};
      if (std::all_of(shapes.begin(), shapes.end(), [&shape](const Shape& other) {
            return shape.apart_from(other);
          })) {
        shape.kind = static_cast<std::int64_t>(random.below(3));
        shapes.push_back(shape);
        break;
      }
    }
  }
  return shapes;
}

torch::Tensor paint(const SyntheticOptions& options,
                    std::span<const Shape> shapes,
                    DrawRandom& random) {
  torch::Tensor image = torch::empty({3, options.size, options.size}, torch::kFloat32);
  auto* pixels = image.data_ptr<float>();
  const std::int64_t plane = options.size * options.size;
  for (std::int64_t c = 0; c < 3; ++c) {
    std::fill_n(pixels + c * plane, plane, static_cast<float>(random.uniform(0.2, 0.8)));
  }
  for (const Shape& shape : shapes) {
    std::array<float, 3> colour{};
    for (float& value : colour) {
      value = static_cast<float>(random.uniform() * 0.7);
    }
    shape.each_pixel(options.size, [&](std::int64_t row, std::int64_t column) {
      float* pixel = pixels + row * options.size + column;
      for (std::size_t c = 0; c < 3; ++c) {
        float& value = pixel[static_cast<std::int64_t>(c) * plane];
        value = value * 0.3F + colour[c];
      }
    });
  }
  if (options.noise > 0) {
    for (std::int64_t i = 0; i < 3 * plane; ++i) {
      const auto noisy = static_cast<float>(pixels[i] + options.noise * random.normal());
      pixels[i] = std::clamp(noisy, 0.0F, 1.0F);
    }
  }
  return image;
}

torch::Tensor paint_masks(std::int64_t size, std::span<const Shape> shapes) {
  torch::Tensor masks =
      torch::zeros({static_cast<std::int64_t>(shapes.size()), size, size}, torch::kUInt8);
  auto* mask = masks.data_ptr<std::uint8_t>();
  for (const Shape& shape : shapes) {
    shape.each_pixel(size, [mask, size](std::int64_t row, std::int64_t column) {
      mask[row * size + column] = 1;
    });
    mask += size * size;
  }
  return masks;
}

constexpr std::int16_t kGround = 4;

torch::Tensor paint_labels(std::int64_t size, std::span<const Shape> shapes) {
  torch::Tensor labels = torch::full({size, size}, kGround, torch::kInt16);
  auto* label = labels.data_ptr<std::int16_t>();
  for (const Shape& shape : shapes) {
    shape.each_pixel(size, [&](std::int64_t row, std::int64_t column) {
      label[row * size + column] = static_cast<std::int16_t>(shape.kind + 1);
    });
  }
  return labels;
}

void require(bool holds, const char* field, const std::string& sentence) {
  if (!holds) {
    throw contract::SpecError(field, std::string(field) + ": " + sentence);
  }
}

void check(const SyntheticOptions& o) {
  require(o.size >= 8 && o.size <= 4096,
          "data.size",
          "expected a side of 8 to 4096 pixels, found " + std::to_string(o.size));
  require(o.pictures > 0,
          o.split == 0 ? "data.train_pictures" : "data.val_pictures",
          "expected at least one picture, found " + std::to_string(o.pictures));
  require(o.max_objects >= 1 && o.max_objects <= 1000,
          "data.max_objects",
          "expected 1 to 1000 objects, found " + std::to_string(o.max_objects));
  require(o.min_object >= 1 && o.min_object <= o.max_object,
          "data.min_object",
          "expected 1 <= min_object <= max_object, found " + std::to_string(o.min_object) +
              " and " + std::to_string(o.max_object));
  require(o.max_object <= static_cast<double>(o.size),
          "data.max_object",
          "expected shapes no larger than the picture of " + std::to_string(o.size) +
              " pixels, found " + std::to_string(o.max_object));
  require(o.noise >= 0 && std::isfinite(o.noise),
          "data.noise",
          "expected a standard deviation of 0 or more, found " + std::to_string(o.noise));
}

std::size_t bytes_of(const Sample& sample) {
  const auto bytes = [](const torch::Tensor& t) { return t.defined() ? t.nbytes() : 0; };
  return bytes(sample.image) + bytes(sample.boxes) + bytes(sample.labels) + bytes(sample.masks) +
         bytes(sample.semantic);
}

}  // namespace

SyntheticDataset::SyntheticDataset(const SyntheticOptions& options) : options_(options) {
  check(options_);
  if (options_.semantic) {
    classes_.emplace_back("ground");
  }
  cache_.resize(static_cast<std::size_t>(options_.pictures));
}

SyntheticDataset::~SyntheticDataset() = default;

Sample SyntheticDataset::get(std::int64_t index) const {
  if (index < 0 || index >= options_.pictures) {
    throw std::out_of_range("synthetic-shapes: no picture " + std::to_string(index));
  }
  auto& slot = cache_[static_cast<std::size_t>(index)];
  {
    const std::shared_lock lock(mutex_);
    if (slot) {
      return *slot;
    }
  }
  auto sample = std::make_unique<const Sample>(draw(index));
  Sample result = *sample;
  const std::size_t bytes = bytes_of(result);
  const std::unique_lock lock(mutex_);
  if (!slot && cached_bytes_ + bytes <= options_.cache_bytes) {
    cached_bytes_ += bytes;
    slot = std::move(sample);
  }
  return result;
}

namespace {

/// The shapes of a picture, without painting it.
std::vector<Shape> shapes_of(const SyntheticOptions& options, std::int64_t index) {
  DrawRandom random(
      mix_seed(options.seed, options.split, static_cast<std::uint64_t>(index), kSeedPicture));
  return place_shapes(options, random);
}

std::uint32_t side_of(const SyntheticOptions& options) {
  return static_cast<std::uint32_t>(options.size);
}

}  // namespace

std::vector<TruthBox> SyntheticDataset::truth(std::int64_t index) const {
  std::vector<TruthBox> boxes;
  for (const Shape& s : shapes_of(options_, index)) {
    const double w = static_cast<double>(s.x2) - s.x1, h = static_cast<double>(s.y2) - s.y1;
    boxes.push_back({s.x1, s.y1, w, h, w * h, s.kind + 1, false});
  }
  return boxes;
}

std::optional<std::vector<Rle>> SyntheticDataset::truth_masks(std::int64_t index) const {
  if (!options_.masks) {
    return std::nullopt;
  }
  const std::uint32_t side = side_of(options_);
  const torch::Tensor painted = paint_masks(options_.size, shapes_of(options_, index));
  std::vector<Rle> masks;
  for (std::int64_t i = 0; i < painted.size(0); ++i) {
    masks.push_back(rle_from_mask(
        {painted[i].const_data_ptr<std::uint8_t>(), std::size_t{side} * side}, side, side));
  }
  return masks;
}

std::optional<LabelMap> SyntheticDataset::semantic_truth(std::int64_t index) const {
  if (!options_.semantic) {
    return std::nullopt;
  }
  const torch::Tensor labels = paint_labels(options_.size, shapes_of(options_, index));
  const auto* label = labels.const_data_ptr<std::int16_t>();
  return LabelMap{side_of(options_), side_of(options_), {label, label + labels.numel()}};
}

std::optional<PanopticTruth> SyntheticDataset::panoptic_truth(std::int64_t index) const {
  if (!options_.semantic) {
    return std::nullopt;
  }
  const std::vector<Shape> shapes = shapes_of(options_, index);
  const auto ground = static_cast<std::uint32_t>(shapes.size()) + 1;
  const auto pixels = static_cast<std::size_t>(options_.size * options_.size);
  PanopticTruth truth{{side_of(options_), side_of(options_), {}}, {{ground, kGround}}};
  truth.map.labels.assign(pixels, ground);
  for (std::uint32_t i = 0; i < shapes.size(); ++i) {
    bool drawn = false;
    shapes[i].each_pixel(options_.size, [&](std::int64_t row, std::int64_t column) {
      truth.map.labels[static_cast<std::size_t>(row * options_.size + column)] = i + 1;
      drawn = true;
    });
    if (drawn) {
      truth.segments.push_back({i + 1, shapes[i].kind + 1});
    }
  }
  return truth;
}

Sample SyntheticDataset::draw(std::int64_t index) const {
  DrawRandom random(
      mix_seed(options_.seed, options_.split, static_cast<std::uint64_t>(index), kSeedPicture));
  const std::vector<Shape> shapes = place_shapes(options_, random);
  const auto count = static_cast<std::int64_t>(shapes.size());
  Sample sample;
  sample.image = paint(options_, shapes, random);
  sample.boxes = torch::empty({count, 4}, torch::kFloat32);
  sample.labels = torch::empty({count}, torch::kInt64);
  auto* box = sample.boxes.data_ptr<float>();
  auto* label = sample.labels.data_ptr<std::int64_t>();
  for (const Shape& s : shapes) {
    for (const float side : {s.x1, s.y1, s.x2, s.y2}) {
      *box++ = side;
    }
    *label++ = s.kind + 1;
  }
  if (options_.masks) {
    sample.masks = paint_masks(options_.size, shapes);
  }
  if (options_.semantic) {
    sample.semantic = paint_labels(options_.size, shapes);
  }
  sample.id = index + 1;
  sample.name = (options_.split == 0 ? "train-" : "val-") + std::to_string(index);
  return sample;
}

}  // namespace batchscope::train
