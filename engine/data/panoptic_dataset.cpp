#include "engine/data/panoptic_dataset.h"

#include "engine/contract/error.h"
#include "engine/data/fnv.h"
#include "engine/data/label_tensor.h"
#include "engine/data/name_hint.h"
#include "engine/data/name_list.h"
#include "engine/metrics/parallel.h"

#include <algorithm>
#include <filesystem>
#include <thread>

namespace batchscope::train {
namespace {

namespace fs = std::filesystem;

/// The map with each segment's id replaced by `value(segment)`; 0 stays.
template <typename Value>
LabelMap relabelled(const LabelMap& map,
                    const std::vector<PanopticSegment>& segments,
                    const std::string& path,
                    const Value& value) {
  std::unordered_map<std::uint32_t, std::uint32_t> values = {{0, 0}};
  for (const PanopticSegment& segment : segments) {
    values[segment.id] = value(segment);
  }
  LabelMap out{map.height, map.width, std::vector<std::uint32_t>(map.labels.size())};
  std::uint32_t last = 0, last_value = 0;  // neighbours are mostly of one segment
  for (std::size_t i = 0; i < map.labels.size(); ++i) {
    if (map.labels[i] != last) {
      const auto found = values.find(map.labels[i]);
      if (found == values.end()) {
        throw contract::DataError("The label picture '" + path + "' has the segment " +
                                  std::to_string(map.labels[i]) +
                                  ", which its annotation does not list.");
      }
      last = map.labels[i];
      last_value = found->second;
    }
    out.labels[i] = last_value;
  }
  return out;
}

/// 1 where the map has this segment, row by row.
std::vector<std::uint8_t> mask_of(const LabelMap& map, std::uint32_t id) {
  std::vector<std::uint8_t> mask(map.labels.size());
  std::transform(map.labels.begin(), map.labels.end(), mask.begin(), [id](std::uint32_t label) {
    return static_cast<std::uint8_t>(label == id);
  });
  return mask;
}

bool incomplete(const PanopticPicture& picture) {
  for (std::size_t s = 0; s < picture.segments.size(); ++s) {
    if (picture.boxes[s][2] < 0 || picture.segments[s].area < 0) {
      return true;
    }
  }
  return false;
}

/// Boxes and areas that the file does not say, from the PNG.
void complete(PanopticPicture& picture, const std::string& folder) {
  struct Extent {
    std::uint32_t left = UINT32_MAX, top = UINT32_MAX, right = 0, bottom = 0;
    std::int64_t pixels = 0;
  };
  const LabelMap map =
      read_label_map((fs::path(folder) / picture.file_name).string(), LabelCoding::kPanoptic);
  std::unordered_map<std::uint32_t, Extent> extents;
  for (std::uint32_t y = 0, i = 0; y < map.height; ++y) {
    for (std::uint32_t x = 0; x < map.width; ++x, ++i) {
      Extent& e = extents[map.labels[i]];
      e = {std::min(e.left, x),
           std::min(e.top, y),
           std::max(e.right, x + 1),
           std::max(e.bottom, y + 1),
           e.pixels + 1};
    }
  }
  for (std::size_t s = 0; s < picture.segments.size(); ++s) {
    const Extent& e = extents[picture.segments[s].id];
    if (picture.boxes[s][2] < 0) {
      picture.boxes[s] = e.pixels == 0 ? std::array<double, 4>{}
                                       : std::array<double, 4>{double(e.left),
                                                               double(e.top),
                                                               double(e.right - e.left),
                                                               double(e.bottom - e.top)};
    }
    if (picture.segments[s].area < 0) {
      picture.segments[s].area = e.pixels;
    }
  }
}

void require_maps(const PanopticFile& file, const std::string& folder) {
  const auto present = names_in_folder(folder, "The folder of panoptic PNGs");
  for (const PanopticPicture& picture : file.pictures) {
    if (!present.contains(picture.file_name)) {
      throw contract::DataError("The panoptic file '" + file.path + "' names the PNG '" +
                                picture.file_name + "', which the folder '" + folder +
                                "' does not have." + name_hint(picture.file_name, folder, present));
    }
  }
}

std::vector<TruthBox> boxes_of(const PanopticPicture& picture,
                               const std::unordered_map<std::int64_t, std::int64_t>& labels,
                               const ClassList& classes,
                               const std::string& path) {
  std::vector<TruthBox> boxes;
  for (std::size_t s = 0; s < picture.segments.size(); ++s) {
    const PanopticSegment& segment = picture.segments[s];
    const auto label = labels.find(segment.category);
    if (label == labels.end()) {
      throw contract::DataError("The panoptic file '" + path + "': a segment of '" +
                                picture.file_name + "' has the category " +
                                std::to_string(segment.category) + ", which is not listed.");
    }
    if (label->second <= classes.things) {
      const auto& b = picture.boxes[s];
      boxes.push_back({b[0], b[1], b[2], b[3], double(segment.area), label->second, segment.crowd});
    }
  }
  return boxes;
}

}  // namespace

ClassList panoptic_classes(std::vector<PanopticCategory> categories) {
  std::sort(categories.begin(),
            categories.end(),
            [](const PanopticCategory& a, const PanopticCategory& b) {
              return a.thing != b.thing ? a.thing : a.id < b.id;
            });
  ClassList classes;
  for (PanopticCategory& category : categories) {
    classes.names.push_back(std::move(category.name));
    classes.ids.push_back(category.id);
    classes.things += category.thing ? 1 : 0;
  }
  return classes;
}

ClassList panoptic_classes(const std::string& annotations) {
  return panoptic_classes(read_categories(annotations));
}

PanopticDataset::PanopticDataset(const PanopticOptions& options)
    : PanopticDataset(read_files(options), options) {}

PanopticDataset::PanopticDataset(Files files, const PanopticOptions& options)
    : PictureSet(content_of(files, options), {options.max_pictures, options.skip_empty}),
      folder_(std::move(files.folder)),
      segments_(segments_of_set(std::move(files.file.pictures))),
      labels_(labels_of_ids(class_list(*this))),
      masks_(options.masks) {}

/// Those of the set's pictures, which may be fewer, in the same order.
std::vector<PanopticPicture> PanopticDataset::segments_of_set(
    std::vector<PanopticPicture> pictures) const {
  std::vector<PanopticPicture> kept;
  for (PanopticPicture& picture : pictures) {
    const auto next = static_cast<std::int64_t>(kept.size());
    if (next < size() && picture.image == image_id(next)) {
      kept.push_back(std::move(picture));
    }
  }
  return kept;
}

PanopticDataset::Files PanopticDataset::read_files(const PanopticOptions& options) {
  Files files{read_panoptic_annotations(options.annotations),
              panoptic_folder(options.segments, options.annotations)};
  std::vector<PanopticPicture>& pictures = files.file.pictures;
  // Which are empty is known when their PNGs, where needed, are read.
  if (!options.skip_empty && options.max_pictures > 0 &&
      pictures.size() > std::size_t(options.max_pictures)) {
    pictures.resize(static_cast<std::size_t>(options.max_pictures));
  }
  require_maps(files.file, files.folder);
  std::vector<PanopticPicture*> open;
  for (PanopticPicture& picture : pictures) {
    if (incomplete(picture)) {
      open.push_back(&picture);
    }
  }
  in_parallel(open.size(), std::max(1U, std::thread::hardware_concurrency()), [&](std::size_t i) {
    complete(*open[i], files.folder);
  });
  return files;
}

SetContent PanopticDataset::content_of(Files& files, const PanopticOptions& options) {
  const PanopticFile& file = files.file;
  SetContent content;
  content.source = "The panoptic file '" + file.path + "'";
  content.folder = options.images;
  content.classes = classes_for(panoptic_classes(file.categories), options.classes, content.source);
  const auto labels = labels_of_ids(content.classes);
  std::unordered_map<std::int64_t, const PanopticImage*> images;
  for (const PanopticImage& image : file.images) {
    images.emplace(image.id, &image);
  }
  content.hash = hash_of_file(file.path, kFnvStart);
  for (const PanopticPicture& picture : file.pictures) {
    const auto image = images.find(picture.image);
    if (image == images.end()) {
      throw contract::DataError(content.source + " annotates the image id " +
                                std::to_string(picture.image) +
                                ", which is not in its list of images.");
    }
    const PanopticImage& i = *image->second;
    content.pictures.push_back({i.id,
                                i.file_name,
                                i.width,
                                i.height,
                                boxes_of(picture, labels, content.classes, file.path)});
    content.hash = hash_of_size(files.folder, picture.file_name, content.hash);
  }
  return content;
}

bool PanopticDataset::is_thing(const PanopticSegment& segment) const {
  return labels_.at(segment.category) <= things();
}

std::string PanopticDataset::map_path(std::int64_t index) const {
  return (fs::path(folder_) / segments_.at(static_cast<std::size_t>(index)).file_name).string();
}

LabelMap PanopticDataset::read_map(std::int64_t index) const {
  return read_label_map(map_path(index), LabelCoding::kPanoptic);
}

LabelMap PanopticDataset::semantic_of(const LabelMap& map, std::int64_t index) const {
  return relabelled(map,
                    segments_[static_cast<std::size_t>(index)].segments,
                    map_path(index),
                    [this](const PanopticSegment& segment) {
                      return static_cast<std::uint32_t>(labels_.at(segment.category));
                    });
}

Sample PanopticDataset::read_sample(std::int64_t index) const {
  std::vector<std::size_t> kept;
  Sample sample = load(index, kept);
  const LabelMap map = read_map(index);
  require_size_of(sample.image, sample.name, map, map_path(index));
  sample.semantic = label_tensor(semantic_of(map, index));
  if (!masks_) {
    return sample;
  }
  std::vector<std::uint32_t> things;
  for (const PanopticSegment& segment : segments_[static_cast<std::size_t>(index)].segments) {
    if (is_thing(segment)) {
      things.push_back(segment.id);
    }
  }
  sample.masks =
      torch::zeros({static_cast<std::int64_t>(kept.size()), map.height, map.width}, torch::kUInt8);
  auto* out = sample.masks.data_ptr<std::uint8_t>();
  for (const std::size_t k : kept) {
    const std::vector<std::uint8_t> mask = mask_of(map, things[k]);
    out = std::copy(mask.begin(), mask.end(), out);
  }
  return sample;
}

std::optional<std::vector<Rle>> PanopticDataset::truth_masks(std::int64_t index) const {
  std::vector<Rle> masks;
  const LabelMap map = in_set([&] { return read_map(index); });
  for (const PanopticSegment& segment : segments_.at(static_cast<std::size_t>(index)).segments) {
    if (is_thing(segment)) {
      masks.push_back(rle_from_mask(mask_of(map, segment.id), map.height, map.width));
    }
  }
  return masks;
}

std::optional<LabelMap> PanopticDataset::semantic_truth(std::int64_t index) const {
  return in_set([&] { return semantic_of(read_map(index), index); });
}

std::optional<PanopticTruth> PanopticDataset::panoptic_truth(std::int64_t index) const {
  return PanopticTruth{in_set([&] { return read_map(index); }),
                       segments_.at(static_cast<std::size_t>(index)).segments};
}

}  // namespace batchscope::train
