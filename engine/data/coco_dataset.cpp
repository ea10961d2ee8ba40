#include "engine/data/coco_dataset.h"

#include "engine/contract/error.h"
#include "engine/data/coco_annotations.h"
#include "engine/data/image_file.h"

#include <algorithm>
#include <stdexcept>
#include <unordered_map>

namespace batchscope::train {
namespace {

ClassList sorted(std::vector<CocoCategory> categories) {
  std::sort(categories.begin(), categories.end(), [](const CocoCategory& a, const CocoCategory& b) {
    return a.id < b.id;
  });
  ClassList classes{{}, {}, static_cast<std::int64_t>(categories.size())};
  for (CocoCategory& category : categories) {
    classes.names.push_back(std::move(category.name));
    classes.ids.push_back(category.id);
  }
  return classes;
}

ClassList classes_of(std::vector<CocoCategory> categories,
                     const ClassList& given,
                     const std::string& source) {
  ClassList own = sorted(std::move(categories));
  const auto twice = std::adjacent_find(own.ids.begin(), own.ids.end());
  if (twice != own.ids.end()) {
    throw contract::DataError(source + " has the category id " + std::to_string(*twice) +
                              " twice.");
  }
  if (own.empty() && given.empty()) {
    throw contract::DataError(source + " has no categories.");
  }
  return classes_for(std::move(own), given, source);
}

/// Where the pictures stand in the content, by their ids.
std::unordered_map<std::int64_t, std::size_t> add_pictures(std::vector<CocoPicture>& pictures,
                                                           SetContent& content) {
  std::unordered_map<std::int64_t, std::size_t> places;
  for (CocoPicture& p : pictures) {
    if (!places.emplace(p.id, places.size()).second) {
      throw contract::DataError(content.source + " has the image id " + std::to_string(p.id) +
                                " twice.");
    }
    content.pictures.push_back({p.id, std::move(p.file_name), p.width, p.height, {}});
  }
  return places;
}

void warn(std::size_t count, const char* of_what, SetContent& content) {
  if (count > 0) {
    content.warnings.push_back(counted(count, "annotation names", "annotations name") + of_what);
  }
}

void add_objects(CocoAnnotations& annotations,
                 const std::unordered_map<std::int64_t, std::size_t>& places,
                 SetContent& content) {
  const auto labels = labels_of_ids(content.classes);
  std::size_t no_picture = 0, no_category = 0;
  bool zero = false;
  for (std::size_t i = 0; i < annotations.objects.size(); ++i) {
    const CocoObject& o = annotations.objects[i];
    const auto place = places.find(o.image_id);
    const auto label = labels.find(o.category_id);
    if (place == places.end()) {
      ++no_picture;
    } else if (label == labels.end()) {
      ++no_category;
    } else {
      SetPicture& picture = content.pictures[place->second];
      picture.truth.push_back({o.x, o.y, o.w, o.h, o.area, label->second, o.crowd, o.id_zero});
      zero = zero || o.id_zero;
      if (!annotations.segmentations.empty()) {
        picture.segmentations.push_back(std::move(annotations.segmentations[i]));
      }
    }
  }
  if (zero) {
    content.warnings.push_back(
        content.source +
        " has an annotation of id 0, whose match COCO's evaluator takes for none, "
        "and so do the figures; number annotations from 1.");
  }
  warn(no_picture, " an image id that is not in the list of images.", content);
  warn(no_category, " a category id that is not in the list of categories.", content);
}

SetContent read_coco(const CocoOptions& options) {
  CocoAnnotations annotations = read_coco_annotations(options.annotations, options.masks);
  SetContent content;
  content.source = "The annotation file '" + options.annotations + "'";
  content.folder = options.images;
  content.classes = classes_of(std::move(annotations.categories), options.classes, content.source);
  add_objects(annotations, add_pictures(annotations.pictures, content), content);
  content.hash = annotations.hash;
  content.all_boxless = true;
  return content;
}

}  // namespace

ClassList coco_classes(const std::string& annotations) {
  return sorted(read_coco_annotations(annotations).categories);
}

CocoDataset::CocoDataset(const CocoOptions& options)
    : PictureSet(read_coco(options), {options.max_pictures, options.skip_empty}),
      masks_(options.masks) {
  require_masks(options.annotations);
}

void CocoDataset::require_masks(const std::string& path) const {
  std::size_t without = 0, objects = 0;
  std::string first;
  for (std::int64_t index = 0; index < size(); ++index) {
    const SetPicture& picture = at(index);
    for (std::size_t i = 0; i < picture.segmentations.size(); ++i) {
      ++objects;
      if (!picture.truth[i].crowd && !picture.segmentations[i].present() && without++ == 0) {
        first = picture.name;
      }
    }
  }
  if (without > 0) {
    throw contract::DataError(std::to_string(without) + " of " + std::to_string(objects) +
                              " objects of '" + path +
                              "' have no segmentation, which a model with masks needs, the first "
                              "in '" +
                              first + "'.");
  }
}

Sample CocoDataset::read_sample(std::int64_t index) const {
  std::vector<std::size_t> kept;
  Sample sample = load(index, kept);
  if (!masks_) {
    return sample;
  }
  const std::int64_t height = sample.image.size(1), width = sample.image.size(2);
  sample.masks =
      torch::empty({static_cast<std::int64_t>(kept.size()), height, width}, torch::kUInt8);
  auto* out = sample.masks.data_ptr<std::uint8_t>();
  for (const std::size_t object : kept) {
    const std::vector<std::uint8_t> mask = rle_to_mask(mask_of(at(index), object, height, width));
    out = std::copy(mask.begin(), mask.end(), out);
  }
  return sample;
}

Rle CocoDataset::mask_of(const SetPicture& picture,
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
    throw contract::DataError(source() + ", object " + std::to_string(object + 1) +
                              " of picture '" + picture.name + "': segmentation: " + error.what() +
                              ".");
  }
}

MaskFaults CocoDataset::mask_faults(std::int64_t index,
                                    std::int64_t height,
                                    std::int64_t width) const {
  MaskFaults faults;
  const SetPicture& picture = at(index);
  for (std::size_t i = 0; masks_ && i < picture.truth.size(); ++i) {
    const TruthBox& box = picture.truth[i];
    if (box.crowd) {
      continue;
    }
    const auto [x, y, w, h] = rle_box(mask_of(picture, i, height, width));
    if (w == 0) {
      ++faults.empty;
    } else if (x >= box.x + box.w || x + w <= box.x || y >= box.y + box.h || y + h <= box.y) {
      ++faults.apart;
    }
  }
  return faults;
}

std::optional<std::vector<Rle>> CocoDataset::truth_masks(std::int64_t index) const {
  if (!masks_) {
    return std::nullopt;
  }
  const SetPicture& picture = at(index);
  std::int64_t height = picture.height, width = picture.width;
  if (height == 0 || width == 0) {
    const torch::Tensor image = read_picture(stored(index)->path);
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

}  // namespace batchscope::train
