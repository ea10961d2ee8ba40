#include "app/prediction_files.h"

#include "app/prediction_inputs.h"
#include "engine/contract/error.h"

#include <nlohmann/json.hpp>

#include <filesystem>

namespace batchscope::app {
namespace {

[[noreturn]] void unwritable(const std::string& path) {
  throw contract::StorageError("Could not write '" + path + "'.");
}

nlohmann::json coded(const train::Rle& mask) {
  return {{"size", {mask.height, mask.width}}, {"counts", train::rle_to_text(mask)}};
}

/// On one line; bytes of names that are no UTF-8 are replaced.
std::string text_of(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

ResultsFile::ResultsFile(std::string path)
    : path_(std::move(path)), unfinished_(path_ + ".part"), file_(unfinished_) {
  if (!(file_ << "[")) {
    unwritable(path_);
  }
}

ResultsFile::~ResultsFile() {
  if (file_.is_open()) {
    file_.close();
    std::error_code ignored;
    std::filesystem::remove(unfinished_, ignored);
  }
}

void ResultsFile::add(const std::string& file_name, const train::FoundObjects& found) {
  for (std::size_t k = 0; k < found.objects.size(); ++k) {
    const train::EvalDetection& d = found.objects[k];
    nlohmann::json entry = {{"image_id", d.image},
                            {"file_name", file_name},
                            {"category_id", d.category},
                            {"bbox", {d.x, d.y, d.w, d.h}},
                            {"score", d.score}};
    if (!found.masks.empty()) {
      entry["segmentation"] = coded(found.masks[k]);
    }
    file_ << (first_ ? "\n" : ",\n") << text_of(entry);
    first_ = false;
  }
  if (!file_) {
    unwritable(path_);
  }
}

void ResultsFile::finish() {
  file_ << "\n]\n";
  file_.close();
  std::error_code error;
  if (file_) {
    std::filesystem::rename(unfinished_, path_, error);
  }
  if (!file_ || error) {
    unwritable(path_);
  }
}

MapFiles::MapFiles(const std::string& folder, const ModelClasses& model, train::ClassList classes)
    : folder_(folder), panoptic_(model.boxes), classes_(std::move(classes)) {
  if (!model.pixels) {
    throw contract::DataError(
        "--maps: this model labels no pixels; semantic and panoptic ones do.");
  }
  for (const std::int64_t id : classes_.ids) {
    if (!panoptic_ && (id < 0 || id > UINT16_MAX)) {
      throw contract::DataError("--maps: the category id " + std::to_string(id) +
                                " does not fit into a PNG of labels; expected 0 to 65535.");
    }
  }
  make_folder(folder_);
}

std::string MapFiles::json_of(std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') {
    folder.pop_back();
  }
  return folder + ".json";
}

void MapFiles::add(const std::string& file_name,
                   std::int64_t image_id,
                   const train::FoundObjects& found) {
  const std::string name = png_of(file_name);
  const std::string path = (std::filesystem::path(folder_) / name).string();
  if (!panoptic_) {
    train::LabelMap values = found.semantic.value();
    for (std::uint32_t& pixel : values.labels) {
      pixel = static_cast<std::uint32_t>(classes_.ids.at(pixel - 1));
    }
    train::write_label_map(path, values, train::LabelCoding::kSemantic);
    return;
  }
  train::write_label_map(path, found.segments.value().map, train::LabelCoding::kPanoptic);
  nlohmann::json segments = nlohmann::json::array();
  for (const train::PanopticSegment& s : found.segments->segments) {
    segments.push_back({{"id", s.id}, {"category_id", s.category}});
  }
  annotations_.push_back(text_of(
      {{"image_id", image_id}, {"file_name", name}, {"segments_info", std::move(segments)}}));
}

void MapFiles::finish() {
  if (!panoptic_) {
    return;
  }
  const std::string path = json();
  std::ofstream file(path);
  file << "{\"annotations\": [";
  for (std::size_t i = 0; i < annotations_.size(); ++i) {
    file << (i == 0 ? "\n" : ",\n") << annotations_[i];
  }
  nlohmann::json categories = nlohmann::json::array();
  for (std::size_t i = 0; i < classes_.ids.size(); ++i) {
    categories.push_back({{"id", classes_.ids[i]},
                          {"name", classes_.names[i]},
                          {"isthing", static_cast<std::int64_t>(i) < classes_.things ? 1 : 0}});
  }
  file << "\n],\n\"categories\": " << text_of(categories) << "}\n";
  if (!file.flush()) {
    unwritable(path);
  }
}

void make_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw contract::StorageError("The folder '" + folder + "' cannot be made: " + error.message() +
                                 ".");
  }
}

}  // namespace batchscope::app
