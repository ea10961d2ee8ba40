#include "engine/metrics/panoptic_files.h"

#include "engine/contract/error.h"
#include "engine/data/json_reader.h"
#include "engine/metrics/parallel.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>
#include <stdexcept>
#include <unordered_set>

namespace batchscope::train {
namespace {

class FileReader {
 public:
  FileReader(const std::string& path, const char* what) : reader_(path, what) { out_.path = path; }
  void with_pictures() { pictures_too_ = true; }
  std::vector<PanopticCategory> read_categories() {
    if (reader_.next() == JsonReader::Type::kList) {
      reader_.each([this] { category(); });
    } else {
      reader_.begin_object();
      for (std::string_view key; reader_.key(key);) {
        key == "categories" ? reader_.each([this] { category(); }) : reader_.skip();
      }
    }
    reader_.finish();
    if (out_.categories.empty()) {
      throw contract::DataError("The file '" + out_.path + "' has no categories.");
    }
    return std::move(out_.categories);
  }
  PanopticFile read() {
    bool annotations = false;
    reader_.begin_object();
    for (std::string_view key; reader_.key(key);) {
      if (key == "annotations") {
        annotations = true;
        reader_.each([this] { picture(); });
      } else if (key == "categories") {
        reader_.each([this] { category(); });
      } else if (key == "images" && pictures_too_) {
        reader_.each([this] { image(); });
      } else {
        reader_.skip();
      }
    }
    reader_.finish();
    if (!annotations) {
      throw contract::DataError("The panoptic file '" + out_.path +
                                "' has no list 'annotations'; expected a COCO panoptic file.");
    }
    return std::move(out_);
  }

 private:
  void picture() {
    std::optional<std::int64_t> image;
    std::optional<std::string> name;
    PanopticPicture picture;
    bool segments = false;
    for (std::string_view key; reader_.key(key);) {
      if (key == "image_id") {
        image = reader_.integer();
      } else if (key == "file_name") {
        name = reader_.text();
      } else if (key == "segments_info") {
        segments = true;
        ids_.clear();
        reader_.each([this, &picture] {
          box_ = {0, 0, -1, -1};
          picture.segments.push_back(segment());
          if (pictures_too_) {
            picture.boxes.push_back(box_);
          }
        });
      } else {
        reader_.skip();
      }
    }
    picture.image = reader_.need(image, "image_id");
    picture.file_name = reader_.need(name, "file_name");
    reader_.need(segments, "segments_info");
    if (!pictures_.insert(picture.image).second) {
      reader_.fail("image_id " + std::to_string(picture.image) + " comes twice");
    }
    out_.pictures.push_back(std::move(picture));
  }

  PanopticSegment segment() {
    std::optional<std::int64_t> id, category;
    PanopticSegment segment;
    for (std::string_view key; reader_.key(key);) {
      if (key == "id") {
        id = reader_.integer();
      } else if (key == "category_id") {
        category = reader_.integer();
      } else if (key == "area" && !reader_.null()) {
        segment.area = reader_.integer();
      } else if (key == "iscrowd") {
        segment.crowd = reader_.flag();
      } else if (key == "bbox" && pictures_too_) {
        box();
      } else if (key != "area") {
        reader_.skip();
      }
    }
    segment.category = reader_.need(category, "category_id");
    if (reader_.need(id, "id") < 0 || *id >= 1 << 24) {
      reader_.fail("id " + std::to_string(*id) + " does not fit into R + 256 G + 65536 B");
    }
    segment.id = static_cast<std::uint32_t>(*id);
    if (!ids_.insert(segment.id).second) {
      reader_.fail("id " + std::to_string(*id) + " comes twice in this picture");
    }
    return segment;
  }

  void box() {
    if (reader_.null()) {
      return;
    }
    std::size_t count = 0;
    for (reader_.begin_list(); reader_.item(); ++count) {
      if (count == box_.size()) {
        reader_.expected("four numbers");
      }
      box_[count] = reader_.number();
    }
    if (count != box_.size()) {
      reader_.expected("four numbers");
    }
  }

  void image() {
    std::optional<std::int64_t> id;
    std::optional<std::string> name;
    PanopticImage image;
    for (std::string_view key; reader_.key(key);) {
      if (key == "id") {
        id = reader_.integer();
      } else if (key == "file_name") {
        name = reader_.text();
      } else if (key == "width") {
        image.width = reader_.integer();
      } else if (key == "height") {
        image.height = reader_.integer();
      } else {
        reader_.skip();
      }
    }
    image.id = reader_.need(id, "id");
    image.file_name = reader_.need(name, "file_name");
    out_.images.push_back(std::move(image));
  }

  void category() {
    std::optional<std::int64_t> id;
    PanopticCategory category;
    for (std::string_view key; reader_.key(key);) {
      if (key == "id") {
        id = reader_.integer();
      } else if (key == "name") {
        category.name = reader_.text();
      } else if (key == "isthing") {
        category.thing = reader_.flag();
      } else {
        reader_.skip();
      }
    }
    category.id = reader_.need(id, "id");
    if (!categories_.insert(category.id).second) {
      reader_.fail("id " + std::to_string(*id) + " comes twice");
    }
    out_.categories.push_back(std::move(category));
  }

  JsonReader reader_;
  PanopticFile out_;
  bool pictures_too_ = false;
  std::array<double, 4> box_{};
  std::unordered_set<std::int64_t> pictures_, categories_;
  std::unordered_set<std::uint32_t> ids_;
};

void require_categories(const PanopticFile& file, const PanopticFile& truth) {
  std::unordered_set<std::int64_t> known;
  for (const PanopticCategory& category : truth.categories) {
    known.insert(category.id);
  }
  for (std::size_t p = 0; p < file.pictures.size(); ++p) {
    const auto& segments = file.pictures[p].segments;
    for (std::size_t s = 0; s < segments.size(); ++s) {
      if (!known.contains(segments[s].category)) {
        throw contract::DataError("The panoptic file '" + file.path + "': annotations[" +
                                  std::to_string(p) + "].segments_info[" + std::to_string(s) +
                                  "].category_id: " + std::to_string(segments[s].category) +
                                  " is no category of '" + truth.path + "'.");
      }
    }
  }
}

std::string in_folder(const std::string& folder, const std::string& name) {
  return (std::filesystem::path(folder) / name).string();
}

}  // namespace

std::string panoptic_folder(const std::string& given, const std::string& file) {
  constexpr std::string_view kEnding = ".json";
  return !given.empty()            ? given
         : file.ends_with(kEnding) ? file.substr(0, file.size() - kEnding.size())
                                   : file;
}

PanopticFile read_panoptic_file(const std::string& path) {
  return FileReader(path, "The panoptic file").read();
}

PanopticFile read_panoptic_annotations(const std::string& path) {
  FileReader reader(path, "The panoptic file");
  reader.with_pictures();
  return reader.read();
}

std::vector<PanopticCategory> read_categories(const std::string& path) {
  return FileReader(path, "The categories file").read_categories();
}

PanopticTotals compare_panoptic(const PanopticFile& truth,
                                const std::string& truth_folder,
                                const PanopticFile& found,
                                const std::string& found_folder,
                                unsigned threads) {
  require_categories(truth, truth);
  require_categories(found, truth);
  std::unordered_map<std::int64_t, const PanopticPicture*> predictions;
  for (const PanopticPicture& picture : found.pictures) {
    predictions[picture.image] = &picture;
  }
  for (const PanopticPicture& picture : truth.pictures) {
    if (!predictions.contains(picture.image)) {
      throw contract::DataError("The panoptic file '" + found.path +
                                "' has no annotation of image " + std::to_string(picture.image) +
                                ", which '" + truth.path + "' has.");
    }
  }
  std::vector<PanopticTotals> parts(truth.pictures.size());
  in_parallel(parts.size(), threads, [&](std::size_t i) {
    const PanopticPicture& t = truth.pictures[i];
    const PanopticPicture& f = *predictions.at(t.image);
    const std::string t_path = in_folder(truth_folder, t.file_name);
    const std::string f_path = in_folder(found_folder, f.file_name);
    const LabelMap t_map = read_label_map(t_path, LabelCoding::kPanoptic);
    const LabelMap f_map = read_label_map(f_path, LabelCoding::kPanoptic);
    require_same_size(t_map, t_path, f_map, f_path);
    try {
      count_panoptic(t_map, t.segments, f_map, f.segments, parts[i]);
    } catch (const std::invalid_argument& error) {
      throw contract::DataError("The label picture '" + f_path + "' and image " +
                                std::to_string(t.image) + " of '" + found.path +
                                "' do not agree: " + error.what() + ".");
    }
  });
  PanopticTotals totals;
  for (const PanopticTotals& part : parts) {
    for (const auto& [category, counts] : part) {
      totals[category] += counts;
    }
  }
  return totals;
}

}  // namespace batchscope::train
