#include "engine/data/openimages_dataset.h"

#include "engine/contract/error.h"
#include "engine/data/csv_file.h"
#include "engine/data/fnv.h"
#include "engine/data/name_list.h"
#include "engine/metrics/openimages_boxes.h"
#include "engine/metrics/openimages_files.h"

#include <set>
#include <unordered_map>

namespace batchscope::train {
namespace {

using Names = std::unordered_map<std::string, std::string>;  // of labels

/// Labels and their names, in the order of the file. Older files have no header.
std::vector<std::pair<std::string, std::string>> read_names(const std::string& path) {
  CsvFile file(path, "The file of class names");
  std::vector<std::pair<std::string, std::string>> names;
  std::set<std::string> labels, texts;
  while (file.next()) {
    const auto& fields = file.fields();
    if (fields.size() != 2) {
      file.fail("expected a label and its name, found " + std::to_string(fields.size()) +
                " fields");
    }
    if (names.empty() && fields[0] == "LabelName") {
      continue;
    }
    if (!labels.insert(fields[0]).second || !texts.insert(fields[1]).second) {
      file.fail("'" + fields[0] + "' or '" + fields[1] + "' comes twice");
    }
    names.emplace_back(fields[0], fields[1]);
  }
  if (names.empty()) {
    throw contract::DataError("The file of class names '" + path + "' has no names.");
  }
  return names;
}

/// Reads the rows of a boxes file into pictures.
class BoxReader {
 public:
  BoxReader(const OpenImagesOptions& options, const ClassList& classes)
      : file_(options.annotations, OpenImagesBoxFile::Of::kTruth),
        listed_(!options.list.empty()),
        labels_(labels_of_names(classes)) {
    if (!options.names.empty()) {
      for (auto& [label, name] : read_names(options.names)) {
        names_.emplace(label, name);
      }
    }
    if (listed_) {
      for (const std::string& id : read_name_list(options.list)) {
        add_picture(id);
      }
    }
  }
  std::vector<SetPicture> read() {
    while (file_.next()) {
      const std::string& id = file_.image();
      auto place = places_.find(id);
      if (place == places_.end()) {
        if (listed_) {
          continue;
        }
        place = add_picture(id);
      }
      pictures_[place->second].truth.push_back(truth_of_row());
    }
    return std::move(pictures_);
  }
  /// The category ids of the classes, by the labels of the files.
  std::unordered_map<std::string, std::int64_t> label_names(const ClassList& classes) const {
    std::unordered_map<std::string, std::int64_t> ids;
    for (const auto& [name, label] : labels_) {
      ids.emplace(name, classes.ids.at(static_cast<std::size_t>(label) - 1));
    }
    if (names_.empty()) {
      return ids;
    }
    std::unordered_map<std::string, std::int64_t> named;
    for (const auto& [label, name] : names_) {
      const auto id = ids.find(name);
      if (id != ids.end()) {
        named.emplace(label, id->second);
      }
    }
    return named;
  }

 private:
  std::unordered_map<std::string, std::size_t>::iterator add_picture(const std::string& id) {
    const auto [place, added] = places_.emplace(id, pictures_.size());
    if (added) {
      pictures_.push_back({static_cast<std::int64_t>(pictures_.size()) + 1, id, 0, 0, {}});
    }
    return place;
  }
  void require_share(const char* column, double value) const {
    if (value < 0 || value > 1) {
      file_.fail(std::string(column) + ": expected a share of the side, 0 to 1, found " +
                 file_.text(column));
    }
  }
  TruthBox truth_of_row() const {
    const OpenImagesBox row = file_.box(0, label_of_row());
    require_share("XMin", row.x1);
    require_share("YMin", row.y1);
    require_share("XMax", row.x2);
    require_share("YMax", row.y2);
    TruthBox box;
    box.label = row.label;
    box.x = row.x1;
    box.y = row.y1;
    box.w = row.x2 - row.x1;
    box.h = row.y2 - row.y1;
    box.area = box.w * box.h;
    box.crowd = row.group;
    return box;
  }
  std::int64_t label_of_row() const {
    const std::string& label = file_.label();
    const auto name = names_.find(label);
    if (!names_.empty() && name == names_.end()) {
      file_.fail("the label '" + label + "' is not in the file of class names");
    }
    const auto found = labels_.find(names_.empty() ? label : name->second);
    if (found == labels_.end()) {
      file_.fail("the label '" + label + "' is none of the training set's");
    }
    return found->second;
  }

  OpenImagesBoxFile file_;
  bool listed_;
  std::unordered_map<std::string, std::int64_t> labels_;  // of names
  Names names_;
  std::unordered_map<std::string, std::size_t> places_;  // of ids
  std::vector<SetPicture> pictures_;
};

/// Image ids, by the pictures' names.
std::unordered_map<std::string, std::int64_t> ids_of(const std::vector<SetPicture>& pictures) {
  std::unordered_map<std::string, std::int64_t> ids;
  for (const SetPicture& picture : pictures) {
    ids.emplace(picture.name, picture.id);
  }
  return ids;
}

}  // namespace

ClassList openimages_classes(const OpenImagesOptions& options) {
  std::vector<std::string> names;
  if (!options.names.empty()) {
    for (auto& [label, name] : read_names(options.names)) {
      names.push_back(std::move(name));
    }
    return numbered_classes(std::move(names));
  }
  std::set<std::string> found;
  OpenImagesBoxFile file(options.annotations, OpenImagesBoxFile::Of::kTruth);
  while (file.next()) {
    found.insert(file.label());
  }
  return numbered_classes({found.begin(), found.end()});
}

OpenImagesDataset::OpenImagesDataset(const OpenImagesOptions& options, const PictureChoice& choice)
    : OpenImagesDataset(read(options), choice) {}

OpenImagesDataset::OpenImagesDataset(Content content, const PictureChoice& choice)
    : PictureSet(std::move(content.set), choice), rules_(std::move(content.rules)) {}

OpenImagesDataset::Content OpenImagesDataset::read(const OpenImagesOptions& options) {
  Content content;
  SetContent& set = content.set;
  set.source = "The boxes file '" + options.annotations + "'";
  set.folder = options.images;
  set.crowd = "of a group (IsGroupOf 1)";
  set.relative = true;
  set.classes = options.classes.empty() ? openimages_classes(options) : options.classes;
  BoxReader reader(options, set.classes);
  set.pictures = reader.read();
  content.rules = read_openimages_rules(options.hierarchy,
                                        options.image_labels,
                                        {ids_of(set.pictures), reader.label_names(set.classes)},
                                        set.warnings);
  const auto present = names_in_folder(options.images, "The picture folder");
  for (SetPicture& picture : set.pictures) {
    picture.name = picture_of_stem(picture.name, present, picture.name + ".jpg");
  }
  set.hash = hash_of_file(options.annotations, kFnvStart);
  if (!options.names.empty()) {
    set.hash = hash_of_file(options.names, set.hash);
  }
  return content;
}

}  // namespace batchscope::train
