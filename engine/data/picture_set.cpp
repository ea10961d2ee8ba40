#include "engine/data/picture_set.h"

#include "engine/contract/error.h"
#include "engine/data/fnv.h"
#include "engine/data/image_file.h"
#include "engine/data/name_hint.h"
#include "engine/data/name_list.h"
#include "engine/data/picture_header.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

namespace batchscope::train {
namespace {

namespace fs = std::filesystem;

using Corners = std::array<float, 4>;

/// The box as a detector trains on it: float32 corners inside the picture. Nothing for a crowd
/// region and where no area is left (in float32: a width of 1e-9 is none).
std::optional<Corners> trainable(const TruthBox& box, double width, double height) {
  const auto inside = [](double v, double limit) {
    return static_cast<float>(limit > 0 ? std::clamp(v, 0.0, limit) : v);
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

std::string hex(std::uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

std::string path_in(const std::string& folder, const std::string& name) {
  return (fs::path(folder) / name).string();
}

void scale(std::vector<TruthBox>& boxes, double width, double height) {
  for (TruthBox& box : boxes) {
    box.x *= width;
    box.w *= width;
    box.y *= height;
    box.h *= height;
    box.area *= width * height;
  }
}

}  // namespace

std::string counted(std::size_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

std::string picture_of_stem(const std::string& stem,
                            const std::unordered_set<std::string>& present,
                            const std::string& otherwise) {
  for (const char* ending : {".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG"}) {
    if (present.contains(stem + ending)) {
      return stem + ending;
    }
  }
  return otherwise;
}

std::uint64_t hash_of_file(const std::string& path, std::uint64_t hash) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (!file) {
    throw contract::DataError("The file '" + path + "' cannot be opened: " + std::strerror(errno) +
                              ".");
  }
  std::vector<char> chunk(std::size_t{1} << 16);
  while (const std::size_t read = std::fread(chunk.data(), 1, chunk.size(), file.get())) {
    hash = fnv1a(chunk.data(), read, hash);
  }
  if (std::ferror(file.get()) != 0) {
    throw contract::DataError("The file '" + path + "' cannot be read: " + std::strerror(errno) +
                              ".");
  }
  return hash;
}

std::uint64_t hash_of_size(const std::string& folder, const std::string& name, std::uint64_t hash) {
  std::error_code ignored;
  const std::string entry =
      name + " " + std::to_string(fs::file_size(fs::path(folder) / name, ignored));
  return fnv1a(entry.c_str(), entry.size() + 1, hash);
}

PictureSet::PictureSet(SetContent content, const PictureChoice& choice)
    : source_(std::move(content.source)),
      folder_(std::move(content.folder)),
      classes_(std::move(content.classes)),
      pictures_(std::move(content.pictures)),
      warnings_(std::move(content.warnings)),
      relative_(content.relative) {
  if (pictures_.empty()) {
    throw contract::DataError(source_ + " has no pictures.");
  }
  if (classes_.empty()) {
    throw contract::DataError(source_ + " has no classes.");
  }
  require_objects(content.crowd);
  if (choice.skip_empty) {
    skip_boxless();
  }
  if (choice.max_pictures > 0 && size() > choice.max_pictures) {
    pictures_.resize(static_cast<std::size_t>(choice.max_pictures));
    require_objects(content.crowd);
  }
  require_pictures();
  count_boxes(content.all_boxless);
  std::uint64_t hash = content.hash;
  for (const SetPicture& picture : pictures_) {
    // With its final zero: names run together must differ from a longer name.
    hash = fnv1a(picture.name.c_str(), picture.name.size() + 1, hash);
  }
  checksum_ = hex(hash);
}

std::size_t PictureSet::trainable_boxes(const SetPicture& picture) const {
  const double width = relative_ ? 1 : static_cast<double>(picture.width);
  const double height = relative_ ? 1 : static_cast<double>(picture.height);
  return static_cast<std::size_t>(
      std::count_if(picture.truth.begin(), picture.truth.end(), [&](const TruthBox& box) {
        return trainable(box, width, height).has_value();
      }));
}

/// Tools that write every object as a crowd leave nothing: neither trains on nor measures by them.
void PictureSet::require_objects(const char* crowd) const {
  if (classes_.things < static_cast<std::int64_t>(classes_.names.size())) {
    return;  // stuff is left
  }
  std::size_t objects = 0, of_crowds = 0;
  for (const SetPicture& picture : pictures_) {
    objects += picture.truth.size();
    of_crowds += static_cast<std::size_t>(
        std::ranges::count_if(picture.truth, [](const TruthBox& box) { return box.crowd; }));
  }
  if (objects > 0 && of_crowds == objects) {
    throw contract::DataError(
        source_ + ": " +
        (objects == 1 ? "its only object" : "each of its " + std::to_string(objects) + " objects") +
        " is " + crowd + ": nothing to train on or to measure by.");
  }
}

void PictureSet::skip_boxless() {
  const std::size_t empty = std::erase_if(
      pictures_, [this](const SetPicture& picture) { return trainable_boxes(picture) == 0; });
  if (pictures_.empty()) {
    throw contract::DataError(
        source_ +
        " has no picture with a box to train on, and data.skip_empty leaves the others out.");
  }
  if (empty > 0) {
    warnings_.push_back(counted(empty, "picture", "pictures") +
                        " without a box to train on left out of training.");
  }
}

void PictureSet::count_boxes(bool all_boxless) {
  if (classes_.things == 0) {
    return;
  }
  std::size_t no_area = 0, empty = 0;
  std::string first;
  for (const SetPicture& picture : pictures_) {
    const std::size_t usable = trainable_boxes(picture);
    const auto crowds = static_cast<std::size_t>(std::count_if(
        picture.truth.begin(), picture.truth.end(), [](const TruthBox& box) { return box.crowd; }));
    const std::size_t without = picture.truth.size() - usable - crowds;
    if (without > 0 && no_area == 0) {
      first = picture.name;
    }
    no_area += without;
    empty += usable == 0 ? 1 : 0;
  }
  if (empty == pictures_.size() && !all_boxless) {
    throw contract::DataError(source_ + " has no picture with a box to train on.");
  }
  if (no_area > 0) {
    warnings_.push_back(counted(no_area, "box", "boxes") +
                        " without area left out of training, the first in '" + first + "'.");
  }
  if (empty > 0) {
    warnings_.push_back(counted(empty, "picture has", "pictures have") + " no box to train on.");
  }
}

void PictureSet::require_pictures() const {
  const auto present = names_in_folder(folder_, "The picture folder");
  std::error_code error;
  std::size_t missing = 0;
  std::string first;
  for (const SetPicture& picture : pictures_) {
    const std::string& name = picture.name;
    const bool found = present.contains(name) || (name.find('/') != std::string::npos &&
                                                  fs::exists(fs::path(folder_) / name, error));
    if (!found && missing++ == 0) {
      first = name;
    }
  }
  if (missing > 0) {
    throw contract::DataError(source_ + " names " + counted(missing, "picture", "pictures") +
                              " of " + std::to_string(pictures_.size()) + " that the folder '" +
                              folder_ + "' does not have, the first is '" + first + "'." +
                              name_hint(first, folder_, present));
  }
}

Sample PictureSet::get(std::int64_t index) const {
  return in_set([&] { return read_sample(index); });
}

std::string PictureSet::with_role(std::string sentence) const {
  if (!role_.empty() && sentence.ends_with('.')) {
    sentence.pop_back();
    sentence += " (of the " + role_ + ").";
  }
  return sentence;
}

Sample PictureSet::read_sample(std::int64_t index) const {
  std::vector<std::size_t> kept;
  return load(index, kept);
}

Sample PictureSet::load(std::int64_t index, std::vector<std::size_t>& kept) const {
  const SetPicture& picture = at(index);
  const std::string path = path_in(folder_, picture.name);
  Sample sample;
  sample.image = read_picture(path);
  const std::int64_t height = sample.image.size(1), width = sample.image.size(2);
  if ((picture.width > 0 && picture.width != width) ||
      (picture.height > 0 && picture.height != height)) {
    throw contract::DataError("The picture '" + path + "' has " + std::to_string(width) + "x" +
                              std::to_string(height) + " pixels; " + source_ + " expects " +
                              std::to_string(picture.width) + "x" + std::to_string(picture.height) +
                              ".");
  }
  const auto w = static_cast<double>(width), h = static_cast<double>(height);
  std::vector<TruthBox> truth = picture.truth;
  if (relative_) {
    scale(truth, w, h);
  }
  std::vector<float> boxes;
  std::vector<std::int64_t> labels;
  kept.clear();
  for (std::size_t i = 0; i < truth.size(); ++i) {
    if (const auto corners = trainable(truth[i], w, h)) {
      boxes.insert(boxes.end(), corners->begin(), corners->end());
      labels.push_back(truth[i].label);
      kept.push_back(i);
    }
  }
  sample.boxes =
      torch::tensor(boxes, torch::kFloat32).view({static_cast<std::int64_t>(kept.size()), 4});
  sample.labels = torch::tensor(labels, torch::kInt64);
  sample.id = picture.id;
  sample.name = picture.name;
  return sample;
}

std::vector<TruthBox> PictureSet::truth(std::int64_t index) const {
  std::vector<TruthBox> boxes = at(index).truth;
  if (relative_ && !boxes.empty()) {
    const PictureHeader header = read_picture_header(path_in(folder_, at(index).name));
    scale(boxes, static_cast<double>(header.width), static_cast<double>(header.height));
  }
  return boxes;
}

std::optional<StoredPicture> PictureSet::stored(std::int64_t index) const {
  const SetPicture& picture = at(index);
  return StoredPicture{path_in(folder_, picture.name), picture.width, picture.height};
}

std::int64_t PictureSet::category_id(std::int64_t label) const {
  return classes_.ids.at(static_cast<std::size_t>(label - 1));
}

}  // namespace batchscope::train
