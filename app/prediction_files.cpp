#include "app/prediction_files.h"

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
    file_ << (first_ ? "\n" : ",\n")
          << entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
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

MapFiles::MapFiles(std::string folder, std::vector<train::PanopticCategory> categories)
    : folder_(std::move(folder)), categories_(std::move(categories)) {
  while (folder_.size() > 1 && folder_.back() == '/') {
    folder_.pop_back();
  }
}

void MapFiles::add(const std::string& file_name,
                   std::int64_t image_id,
                   const train::FoundObjects& found) {
  const std::string name = std::filesystem::path(file_name).stem().string() + ".png";
  const std::string path = (std::filesystem::path(folder_) / name).string();
  if (found.segments) {
    train::write_label_map(path, found.segments->map, train::LabelCoding::kPanoptic);
    nlohmann::json segments = nlohmann::json::array();
    for (const train::PanopticSegment& s : found.segments->segments) {
      segments.push_back({{"id", s.id}, {"category_id", s.category}});
    }
    annotations_.push_back(
        nlohmann::json{{"image_id", image_id}, {"file_name", name}, {"segments_info", segments}}
            .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else if (found.semantic) {
    train::write_label_map(path, *found.semantic, train::LabelCoding::kSemantic);
  } else {
    throw contract::DataError(
        "--maps: this model labels no pixels; semantic and panoptic ones do.");
  }
}

void MapFiles::finish() {
  if (annotations_.empty()) {
    return;
  }
  const std::string path = folder_ + ".json";
  std::ofstream file(path);
  file << "{\"annotations\": [";
  for (std::size_t i = 0; i < annotations_.size(); ++i) {
    file << (i == 0 ? "\n" : ",\n") << annotations_[i];
  }
  nlohmann::json categories = nlohmann::json::array();
  for (const train::PanopticCategory& c : categories_) {
    categories.push_back({{"id", c.id}, {"name", c.name}, {"isthing", c.thing ? 1 : 0}});
  }
  file << "\n],\n\"categories\": "
       << categories.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "}\n";
  if (!file.flush()) {
    unwritable(path);
  }
}

}  // namespace batchscope::app
