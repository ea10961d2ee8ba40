#include "engine/data/coco_dataset.h"

#include "engine/contract/error.h"
#include "engine/data/fnv.h"
#include "engine/data/image_file.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <unordered_map>
#include <unordered_set>

namespace batchscope::train {
namespace {

using Corners = std::array<float, 4>;

/// The box as a detector trains on it: float32 corners inside the picture. Nothing for a crowd
/// region and where no area is left (in float32: a width of 1e-9 is none).
std::optional<Corners> trainable(const TruthBox& box, std::int64_t width, std::int64_t height) {
  const auto inside = [](double v, std::int64_t limit) {
    return static_cast<float>(limit > 0 ? std::clamp(v, 0.0, static_cast<double>(limit)) : v);
  };
  const Corners c = {inside(box.x, width),
                     inside(box.y, height),
                     inside(box.x + box.w, width),
                     inside(box.y + box.h, height)};
  if (box.crowd || !(c[2] > c[0]) || !(c[3] > c[1])) {
    return std::nullopt;
  }
  return c;
}

std::string count_of(std::size_t n, const char* one, const char* many) {
  return std::to_string(n) + " " + (n == 1 ? one : many);
}

std::string hex(std::uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

}  // namespace

CocoDataset::CocoDataset(const CocoOptions& options)
    : file_(options.annotations), folder_(options.images), masks_(options.masks) {
  CocoAnnotations annotations = read_coco_annotations(file_, masks_);
  set_categories(options, std::move(annotations.categories));
  group(annotations, options.max_pictures);
  select(options.skip_empty);
  require_pictures();
  require_masks();
  std::uint64_t hash = annotations.hash;
  for (const Picture& picture : pictures_) {
    // With its final zero: names run together must differ from a longer name.
    hash = fnv1a(picture.info.file_name.c_str(), picture.info.file_name.size() + 1, hash);
  }
  checksum_ = hex(hash);
}

void CocoDataset::set_categories(const CocoOptions& options, std::vector<CocoCategory> own) {
  const auto by_id = [](const CocoCategory& a, const CocoCategory& b) { return a.id < b.id; };
  std::sort(own.begin(), own.end(), by_id);
  for (std::size_t i = 1; i < own.size(); ++i) {
    if (own[i].id == own[i - 1].id) {
      throw contract::DataError("The annotation file '" + file_ + "' has the category id " +
                                std::to_string(own[i].id) + " twice.");
    }
  }
  std::vector<CocoCategory> labels = options.categories.empty() ? own : options.categories;
  std::sort(labels.begin(), labels.end(), by_id);
  if (labels.empty()) {
    throw contract::DataError("The annotation file '" + file_ + "' has no categories.");
  }
  for (const CocoCategory& category : own) {
    const auto found = std::lower_bound(labels.begin(), labels.end(), category, by_id);
    if (found == labels.end() || found->id != category.id || found->name != category.name) {
      throw contract::DataError("The annotation file '" + file_ + "' has the category " +
                                std::to_string(category.id) + " '" + category.name +
                                "', which the training annotations do not have.");
    }
  }
  for (const CocoCategory& category : labels) {
    category_ids_.push_back(category.id);
    classes_.push_back(category.name);
  }
}

void CocoDataset::group(CocoAnnotations& annotations, std::int64_t max_pictures) {
  if (annotations.pictures.empty()) {
    throw contract::DataError("The annotation file '" + file_ + "' has no pictures.");
  }
  std::unordered_map<std::int64_t, std::size_t> places;
  for (CocoPicture& info : annotations.pictures) {
    if (!places.emplace(info.id, pictures_.size()).second) {
      throw contract::DataError("The annotation file '" + file_ + "' has the image id " +
                                std::to_string(info.id) + " twice.");
    }
    pictures_.push_back({std::move(info), {}, {}});
  }
  std::size_t no_picture = 0, no_category = 0;
  for (std::size_t i = 0; i < annotations.objects.size(); ++i) {
    const CocoObject& object = annotations.objects[i];
    const auto place = places.find(object.image_id);
    const auto category =
        std::lower_bound(category_ids_.begin(), category_ids_.end(), object.category_id);
    if (place == places.end()) {
      ++no_picture;
    } else if (category == category_ids_.end() || *category != object.category_id) {
      ++no_category;
    } else {
      pictures_[place->second].truth.push_back({object.x,
                                                object.y,
                                                object.w,
                                                object.h,
                                                object.area,
                                                category - category_ids_.begin() + 1,
                                                object.crowd});
      if (masks_) {
        pictures_[place->second].segmentations.push_back(std::move(annotations.segmentations[i]));
      }
    }
  }
  if (max_pictures > 0 && size() > max_pictures) {
    pictures_.resize(static_cast<std::size_t>(max_pictures));
  }
  if (no_picture > 0) {
    warnings_.push_back(count_of(no_picture, "annotation names", "annotations name") +
                        " an image id that is not in the list of images.");
  }
  if (no_category > 0) {
    warnings_.push_back(count_of(no_category, "annotation names", "annotations name") +
                        " a category id that is not in the list of categories.");
  }
}

void CocoDataset::select(bool skip_empty) {
  std::size_t no_area = 0, empty = 0;
  std::string first_no_area;
  std::vector<Picture> kept;
  for (Picture& picture : pictures_) {
    std::size_t usable = 0;
    for (const TruthBox& box : picture.truth) {
      const bool good = trainable(box, picture.info.width, picture.info.height).has_value();
      usable += good ? 1 : 0;
      if (!good && !box.crowd && no_area++ == 0) {
        first_no_area = picture.info.file_name;
      }
    }
    empty += usable == 0 ? 1 : 0;
    if (usable > 0 || !skip_empty) {
      kept.push_back(std::move(picture));
    }
  }
  pictures_ = std::move(kept);
  if (pictures_.empty()) {
    throw contract::DataError("The annotation file '" + file_ +
                              "' has no picture with a box to train on.");
  }
  if (no_area > 0) {
    warnings_.push_back(count_of(no_area, "box", "boxes") +
                        " without area left out of training, the first in '" + first_no_area +
                        "'.");
  }
  if (empty > 0) {
    warnings_.push_back(count_of(empty, "picture has", "pictures have") + " no box to train on" +
                        (skip_empty ? " and is left out." : "."));
  }
}

void CocoDataset::require_pictures() const {
  // One listing of the folder is much cheaper than a question for each of 100,000 files.
  std::error_code error;
  std::unordered_set<std::string> present;
  for (std::filesystem::directory_iterator entry(folder_, error), end; !error && entry != end;
       entry.increment(error)) {
    present.insert(entry->path().filename().string());
  }
  if (error) {
    throw contract::DataError("The picture folder '" + folder_ +
                              "' cannot be read: " + error.message() + ".");
  }
  std::size_t missing = 0;
  std::string first;
  for (const Picture& picture : pictures_) {
    const std::string& name = picture.info.file_name;
    const bool found = present.contains(name) ||
                       (name.find('/') != std::string::npos &&
                        std::filesystem::exists(std::filesystem::path(folder_) / name, error));
    if (!found && missing++ == 0) {
      first = name;
    }
  }
  if (missing > 0) {
    throw contract::DataError(std::to_string(missing) + " of " + std::to_string(size()) +
                              " pictures of '" + file_ + "' are not in the folder '" + folder_ +
                              "', the first is '" + first + "'.");
  }
}

Sample CocoDataset::get(std::int64_t index) const {
  const Picture& picture = pictures_.at(static_cast<std::size_t>(index));
  const std::string path = (std::filesystem::path(folder_) / picture.info.file_name).string();
  Sample sample;
  sample.image = read_picture(path);
  const std::int64_t height = sample.image.size(1), width = sample.image.size(2);
  if ((picture.info.width > 0 && picture.info.width != width) ||
      (picture.info.height > 0 && picture.info.height != height)) {
    throw contract::DataError("The picture '" + path + "' has " + std::to_string(width) + "x" +
                              std::to_string(height) + " pixels; '" + file_ + "' expects " +
                              std::to_string(picture.info.width) + "x" +
                              std::to_string(picture.info.height) + ".");
  }
  std::vector<float> boxes;
  std::vector<std::int64_t> labels;
  std::vector<std::size_t> objects;
  for (std::size_t i = 0; i < picture.truth.size(); ++i) {
    if (const auto corners = trainable(picture.truth[i], width, height)) {
      boxes.insert(boxes.end(), corners->begin(), corners->end());
      labels.push_back(picture.truth[i].label);
      objects.push_back(i);
    }
  }
  const auto count = static_cast<std::int64_t>(labels.size());
  sample.boxes = torch::tensor(boxes, torch::kFloat32).view({count, 4});
  sample.labels = torch::tensor(labels, torch::kInt64);
  if (masks_) {
    sample.masks = masks_of(picture, objects, height, width);
  }
  sample.id = picture.info.id;
  sample.name = picture.info.file_name;
  return sample;
}

std::vector<TruthBox> CocoDataset::truth(std::int64_t index) const {
  return pictures_.at(static_cast<std::size_t>(index)).truth;
}

void CocoDataset::require_masks() const {
  std::size_t without = 0, objects = 0;
  std::string first;
  for (const Picture& picture : pictures_) {
    for (std::size_t i = 0; i < picture.segmentations.size(); ++i) {
      ++objects;
      if (!picture.truth[i].crowd && !picture.segmentations[i].present() && without++ == 0) {
        first = picture.info.file_name;
      }
    }
  }
  if (without > 0) {
    throw contract::DataError(std::to_string(without) + " of " + std::to_string(objects) +
                              " objects of '" + file_ +
                              "' have no segmentation, which a model with masks needs, the first "
                              "in '" +
                              first + "'.");
  }
}

Rle CocoDataset::mask_of(const Picture& picture,
                         std::size_t object,
                         std::int64_t height,
                         std::int64_t width) const {
  const auto h = static_cast<std::uint32_t>(height), w = static_cast<std::uint32_t>(width);
  const Segmentation& segmentation = picture.segmentations[object];
  if (!segmentation.present()) {  // of a crowd
    return Rle{h, w, {0, h * w}};
  }
  try {
    return segmentation.mask(h, w);
  } catch (const std::invalid_argument& error) {
    throw contract::DataError("The annotation file '" + file_ + "', object " +
                              std::to_string(object + 1) + " of picture '" +
                              picture.info.file_name + "': segmentation: " + error.what() + ".");
  }
}

torch::Tensor CocoDataset::masks_of(const Picture& picture,
                                    const std::vector<std::size_t>& objects,
                                    std::int64_t height,
                                    std::int64_t width) const {
  torch::Tensor masks =
      torch::empty({static_cast<std::int64_t>(objects.size()), height, width}, torch::kUInt8);
  auto* out = masks.data_ptr<std::uint8_t>();
  for (const std::size_t object : objects) {
    const std::vector<std::uint8_t> mask = rle_to_mask(mask_of(picture, object, height, width));
    out = std::copy(mask.begin(), mask.end(), out);
  }
  return masks;
}

std::optional<std::vector<Rle>> CocoDataset::truth_masks(std::int64_t index) const {
  if (!masks_) {
    return std::nullopt;
  }
  const Picture& picture = pictures_.at(static_cast<std::size_t>(index));
  std::int64_t height = picture.info.height, width = picture.info.width;
  if (height == 0 || width == 0) {
    const torch::Tensor image =
        read_picture((std::filesystem::path(folder_) / picture.info.file_name).string());
    height = image.size(1);
    width = image.size(2);
  }
  std::vector<Rle> masks;
  masks.reserve(picture.truth.size());
  for (std::size_t i = 0; i < picture.truth.size(); ++i) {
    masks.push_back(mask_of(picture, i, height, width));
  }
  return masks;
}

std::int64_t CocoDataset::image_id(std::int64_t index) const {
  return pictures_.at(static_cast<std::size_t>(index)).info.id;
}

std::optional<StoredPicture> CocoDataset::stored(std::int64_t index) const {
  const CocoPicture& info = pictures_.at(static_cast<std::size_t>(index)).info;
  return StoredPicture{
      (std::filesystem::path(folder_) / info.file_name).string(), info.width, info.height};
}

std::int64_t CocoDataset::category_id(std::int64_t label) const {
  return category_ids_.at(static_cast<std::size_t>(label - 1));
}

}  // namespace batchscope::train
