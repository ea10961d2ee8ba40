#include "engine/data/transforms.h"

#include "engine/data/loader.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace batchscope::train {
namespace {

void require_picture(const torch::Tensor& image) {
  if (!image.defined() || image.dim() != 3 || image.size(0) != 3 || image.size(1) < 1 ||
      image.size(2) < 1 ||
      (image.scalar_type() != torch::kUInt8 && image.scalar_type() != torch::kFloat32)) {
    throw std::invalid_argument("picture: expected a [3, H, W] tensor of uint8 or float32");
  }
}

/// One channel: reads w x h values with the given strides, writes rows of `width` floats.
template <typename Value, typename Convert>
void write_plane(const Value* in,
                 std::int64_t row_stride,
                 std::int64_t column_stride,
                 std::int64_t h,
                 std::int64_t w,
                 float* out,
                 std::int64_t height,
                 std::int64_t width,
                 Convert convert) {
  for (std::int64_t y = 0; y < h; ++y) {
    const Value* row = in + y * row_stride;
    for (std::int64_t x = 0; x < w; ++x) {
      out[x] = convert(row[x * column_stride]);
    }
    std::fill(out + w, out + width, 0.0F);
    out += width;
  }
  std::fill_n(out, (height - h) * width, 0.0F);
}

std::int64_t round_up(std::int64_t value, std::int64_t divisor) {
  const std::int64_t d = std::max<std::int64_t>(divisor, 1);
  return (value + d - 1) / d * d;
}

torch::Tensor transform_boxes(
    const torch::Tensor& boxes, float scale_x, float scale_y, float width, bool mirror) {
  torch::Tensor result = boxes.contiguous().clone();
  auto* box = result.data_ptr<float>();
  for (std::int64_t i = 0; i < result.size(0); ++i, box += 4) {
    const float x1 = box[0] * scale_x, x2 = box[2] * scale_x;
    box[0] = mirror ? width - x2 : x1;
    box[2] = mirror ? width - x1 : x2;
    box[1] *= scale_y;
    box[3] *= scale_y;
  }
  return result;
}

/// A box thinner than float32 tells apart at its place has no area any more, which no detector
/// takes.
void drop_collapsed(models::Target& target) {
  const torch::Tensor kept =
      (target.boxes.narrow(1, 2, 2) > target.boxes.narrow(1, 0, 2)).all(1).nonzero().view(-1);
  if (kept.size(0) == target.boxes.size(0)) {
    return;
  }
  target.boxes = target.boxes.index_select(0, kept);
  target.labels = target.labels.index_select(0, kept);
  if (target.masks.defined()) {
    target.masks = target.masks.index_select(0, kept);
  }
}

}  // namespace

std::pair<std::int64_t, std::int64_t> resized_size(std::int64_t height,
                                                   std::int64_t width,
                                                   std::int64_t min_size,
                                                   std::int64_t max_size) {
  const auto short_side = static_cast<double>(std::min(height, width));
  const auto long_side = static_cast<double>(std::max(height, width));
  double scale = min_size > 0 ? static_cast<double>(min_size) / short_side : 1.0;
  if (max_size > 0) {
    scale = std::min(scale, static_cast<double>(max_size) / long_side);
  }
  const auto side = [scale](std::int64_t value) {
    const auto scaled = static_cast<std::int64_t>(std::floor(static_cast<double>(value) * scale));
    return std::max<std::int64_t>(scaled, 1);
  };
  return {side(height), side(width)};
}

torch::Tensor resize_picture(const torch::Tensor& image,
                             std::int64_t height,
                             std::int64_t width,
                             bool antialias) {
  require_picture(image);
  if (image.size(1) == height && image.size(2) == width) {
    return image;
  }
  const std::vector<std::int64_t> size = {height, width};
  if (antialias) {
    return at::_upsample_bilinear2d_aa(image.unsqueeze(0), size, /*align_corners=*/false)
        .squeeze(0);
  }
  // Normalising comes later: both are linear, so their order does not matter.
  const torch::Tensor values =
      image.scalar_type() == torch::kUInt8 ? image.to(torch::kFloat32).div_(255) : image;
  return at::upsample_bilinear2d(values.unsqueeze(0), size, /*align_corners=*/false).squeeze(0);
}

Normaliser::Normaliser(const models::InputTransform& transform) {
  if (transform.mean.size() != 3 || transform.std.size() != 3) {
    throw std::invalid_argument("input transform: expected three means and three deviations");
  }
  for (std::size_t c = 0; c < 3; ++c) {
    mean_[c] = static_cast<float>(transform.mean[c]);
    std_[c] = static_cast<float>(transform.std[c]);
    if (!(std_[c] > 0)) {
      throw std::invalid_argument("input transform: expected deviations above 0, found " +
                                  std::to_string(transform.std[c]));
    }
    for (std::size_t v = 0; v < 256; ++v) {
      table_[c][v] = (static_cast<float>(v) / 255.0F - mean_[c]) / std_[c];
    }
  }
}

void Normaliser::write(const torch::Tensor& image,
                       bool mirror,
                       float* out,
                       std::int64_t height,
                       std::int64_t width) const {
  require_picture(image);
  const std::int64_t h = image.size(1), w = image.size(2);
  const std::int64_t row_stride = image.stride(1);
  const std::int64_t column_stride = mirror ? -image.stride(2) : image.stride(2);
  const std::int64_t start = mirror ? (w - 1) * image.stride(2) : 0;
  for (std::int64_t c = 0; c < 3; ++c) {
    const auto channel = static_cast<std::size_t>(c);
    const std::int64_t offset = c * image.stride(0) + start;
    float* plane = out + c * height * width;
    if (image.scalar_type() == torch::kUInt8) {
      write_plane(image.const_data_ptr<std::uint8_t>() + offset,
                  row_stride,
                  column_stride,
                  h,
                  w,
                  plane,
                  height,
                  width,
                  [table = table_[channel].data()](std::uint8_t v) { return table[v]; });
    } else {
      write_plane(
          image.const_data_ptr<float>() + offset,
          row_stride,
          column_stride,
          h,
          w,
          plane,
          height,
          width,
          [mean = mean_[channel], std = std_[channel]](float v) { return (v - mean) / std; });
    }
  }
}

torch::Tensor resize_labels(const torch::Tensor& map, std::int64_t height, std::int64_t width) {
  const auto sources = [](std::int64_t from, std::int64_t to) {
    torch::Tensor index = torch::empty({to}, torch::kInt64);
    const float scale = static_cast<float>(from) / static_cast<float>(to);
    for (std::int64_t i = 0; i < to; ++i) {
      index.data_ptr<std::int64_t>()[i] =
          std::min(static_cast<std::int64_t>(static_cast<float>(i) * scale), from - 1);
    }
    return index;
  };
  return map.index_select(0, sources(map.size(0), height))
      .index_select(1, sources(map.size(1), width));
}

models::Target transform_target(const Sample& sample,
                                std::int64_t height,
                                std::int64_t width,
                                bool mirror) {
  const std::int64_t h = sample.image.size(1), w = sample.image.size(2);
  const bool resized = h != height || w != width;
  models::Target target{sample.boxes, sample.labels, sample.masks, sample.semantic};
  if (resized || mirror) {
    target.boxes = transform_boxes(sample.boxes,
                                   static_cast<float>(width) / static_cast<float>(w),
                                   static_cast<float>(height) / static_cast<float>(h),
                                   static_cast<float>(width),
                                   mirror);
    drop_collapsed(target);
  }
  if (target.masks.defined() && target.masks.size(0) > 0 && resized) {
    const std::vector<std::int64_t> size = {height, width};
    target.masks = at::upsample_nearest2d(target.masks.unsqueeze(1), size).squeeze(1);
  } else if (target.masks.defined() && resized) {
    target.masks = torch::zeros({0, height, width}, torch::kUInt8);
  }
  if (target.masks.defined() && mirror) {
    target.masks = target.masks.flip(2);
  }
  if (target.semantic.defined() && resized) {
    target.semantic = resize_labels(target.semantic, height, width);
  }
  if (target.semantic.defined() && mirror) {
    target.semantic = target.semantic.flip(1);
  }
  return target;
}

std::pair<std::int64_t, std::int64_t> batch_size_of(
    const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes, std::int64_t divisor) {
  std::int64_t height = 1, width = 1;
  for (const auto& [h, w] : sizes) {
    height = std::max(height, h);
    width = std::max(width, w);
  }
  return {round_up(height, divisor), round_up(width, divisor)};
}

PreparedPicture prepare_picture(const torch::Tensor& image,
                                const models::InputTransform& transform) {
  require_picture(image);
  const auto [height, width] =
      resized_size(image.size(1), image.size(2), transform.min_size, transform.max_size);
  PreparedPicture prepared;
  prepared.scale_x = static_cast<double>(width) / static_cast<double>(image.size(2));
  prepared.scale_y = static_cast<double>(height) / static_cast<double>(image.size(1));
  prepared.image = torch::empty({3, height, width}, torch::kFloat32);
  Normaliser(transform).write(resize_picture(image, height, width, transform.antialias),
                              false,
                              prepared.image.data_ptr<float>(),
                              height,
                              width);
  return prepared;
}

torch::Tensor pad_batch(const std::vector<torch::Tensor>& images, std::int64_t divisor) {
  std::vector<std::pair<std::int64_t, std::int64_t>> sizes;
  for (const torch::Tensor& image : images) {
    if (!image.defined() || image.dim() != 3 || image.size(0) != 3) {
      throw std::invalid_argument("pad_batch: expected [3, h, w] pictures");
    }
    sizes.emplace_back(image.size(1), image.size(2));
  }
  const auto [height, width] = batch_size_of(sizes, divisor);
  torch::Tensor batch =
      torch::zeros({static_cast<std::int64_t>(images.size()), 3, height, width}, torch::kFloat32);
  for (std::size_t i = 0; i < images.size(); ++i) {
    batch[static_cast<std::int64_t>(i)]
        .narrow(1, 0, sizes[i].first)
        .narrow(2, 0, sizes[i].second)
        .copy_(images[i]);
  }
  return batch;
}

}  // namespace batchscope::train
