#include "app/prediction_inputs.h"

#include "engine/contract/error.h"
#include "engine/data/json_reader.h"
#include "engine/data/panoptic_dataset.h"
#include "engine/data/picture_set.h"
#include "engine/data/semantic_dataset.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <unordered_map>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;

bool named_as_picture(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return ending == ".jpg" || ending == ".jpeg" || ending == ".png";
}

void add_entry(const fs::directory_entry& entry, PictureFolder& found) {
  std::error_code ignored;
  const fs::file_type type = entry.status(ignored).type();
  const std::string name = entry.path().filename().string();
  // A link that leads nowhere is a picture that cannot be read.
  const bool file = type == fs::file_type::regular || type == fs::file_type::not_found;
  if (file && named_as_picture(entry.path())) {
    found.pictures.push_back({name});
  } else if (type == fs::file_type::directory) {
    ++found.folders;
  } else if (found.other_files++ == 0 || name < found.first_other) {
    found.first_other = name;
  }
}

/// Where a path leads to, without links and "..".
fs::path place_of(const std::string& path) {
  std::error_code error;
  const fs::path whole = fs::absolute(path);
  fs::path place = fs::weakly_canonical(whole, error);
  if (error) {
    place = whole.lexically_normal();
  }
  return place.has_filename() ? place : place.parent_path();
}

using ImageIds = std::unordered_map<std::string, std::int64_t>;

/// Reads an image; the reader stands at its begin.
void read_image(train::JsonReader& reader, ImageIds& ids) {
  std::optional<std::int64_t> id;
  std::optional<std::string> name;
  for (std::string_view key; reader.key(key);) {
    if (key == "id") {
      id = reader.integer();
    } else if (key == "file_name") {
      name = reader.text();
    } else {
      reader.skip();
    }
  }
  reader.need(id, "id");
  const auto [place, added] = ids.emplace(reader.need(name, "file_name"), *id);
  if (!added && place->second != *id) {
    reader.fail("the file name '" + *name + "' has the ids " + std::to_string(place->second) +
                " and " + std::to_string(*id));
  }
}

ImageIds read_image_ids(const std::string& path) {
  train::JsonReader reader(path, "The file of image ids");
  if (reader.next() != train::JsonReader::Type::kObject) {
    reader.expected("an object with a list 'images'");
  }
  ImageIds ids;
  reader.begin_object();
  for (std::string_view key; reader.key(key);) {
    if (key == "images") {
      reader.each([&] { read_image(reader, ids); });
    } else {
      reader.skip();
    }
  }
  reader.finish();
  if (ids.empty()) {
    throw contract::DataError("The file of image ids '" + path + "' has no images.");
  }
  return ids;
}

std::int64_t size_of(const train::ClassList& classes) {
  return static_cast<std::int64_t>(classes.ids.size());
}

bool is_json(const std::string& path) {
  std::ifstream in(path);
  char first = 0;
  return (in >> first) && (first == '{' || first == '[');
}

}  // namespace

std::string PictureFolder::passed_over(const std::string& folder) const {
  std::string what;
  if (other_files > 0) {
    what = train::counted(other_files, "file that is", "files that are") +
           " no JPEG or PNG by name (the first: '" + first_other + "')";
  }
  if (folders > 0) {
    what += (what.empty() ? "" : " and ") + train::counted(folders, "folder", "folders");
  }
  return what.empty()
             ? what
             : what + " of '" + folder +
                   (other_files + folders == 1 ? "' is passed over." : "' are passed over.");
}

PictureFolder pictures_in(const std::string& folder) {
  PictureFolder found;
  std::vector<InputPicture>& pictures = found.pictures;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    add_entry(*entry, found);
  }
  if (error) {
    throw contract::DataError("The picture folder '" + folder +
                              "' cannot be read: " + error.message() + ".");
  }
  if (pictures.empty()) {
    const std::string others = found.passed_over(folder);
    throw contract::DataError("The picture folder '" + folder + "' has no JPEG or PNG pictures." +
                              (others.empty() ? "" : " " + others));
  }
  std::sort(pictures.begin(), pictures.end(), [](const auto& a, const auto& b) {
    return a.name < b.name;
  });
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    pictures[i].id = static_cast<std::int64_t>(i) + 1;
  }
  return found;
}

std::string take_image_ids(std::vector<InputPicture>& pictures, const std::string& coco_file) {
  const ImageIds ids = read_image_ids(coco_file);
  std::vector<InputPicture> kept;
  for (InputPicture& picture : pictures) {
    if (const auto id = ids.find(picture.name); id != ids.end()) {
      kept.push_back({std::move(picture.name), id->second});
    }
  }
  if (kept.empty()) {
    throw contract::DataError("None of the " + std::to_string(pictures.size()) +
                              " pictures has a file name of '" + coco_file + "', such as '" +
                              ids.begin()->first + "'.");
  }
  const std::size_t others = pictures.size() - kept.size(), absent = ids.size() - kept.size();
  pictures = std::move(kept);
  std::string note;
  if (others > 0) {
    note = std::to_string(others) + " pictures are not in '" + coco_file + "' and are left out.";
  }
  if (absent > 0) {
    note += (note.empty() ? "" : " ") + std::to_string(absent) + " images of '" + coco_file +
            "' have no picture.";
  }
  return note;
}

void require_separate(const std::vector<NamedPlace>& places) {
  std::map<fs::path, const NamedPlace*> taken;
  for (const bool written : {false, true}) {
    for (const NamedPlace& place : places) {
      if (place.path.empty() || place.written != written) {
        continue;
      }
      const fs::path at = place_of(place.path);
      const auto other = taken.emplace(at, &place).first;
      const auto folder = taken.find(at.parent_path());
      if (written && other->second != &place) {
        throw contract::SpecError(place.option,
                                  place.option + " and " + other->second->option + " are both '" +
                                      at.string() +
                                      "'; expected places where nothing is overwritten.");
      }
      if (written && folder != taken.end() && !folder->second->written && named_as_picture(at)) {
        throw contract::SpecError(place.option,
                                  place.option + " is '" + at.string() + "', a picture of " +
                                      folder->second->option + "; expected another file.");
      }
    }
  }
}

std::string png_of(const std::string& picture) {
  return fs::path(picture).stem().string() + ".png";
}

void require_own_pngs(const std::vector<InputPicture>& pictures, const std::string& folder) {
  std::unordered_map<std::string, std::string> pictures_of;  // by PNG
  for (const InputPicture& picture : pictures) {
    const auto [first, added] = pictures_of.emplace(png_of(picture.name), picture.name);
    if (!added) {
      throw contract::DataError("The pictures '" + first->second + "' and '" + picture.name +
                                "' of '" + folder + "' would both become '" + first->first +
                                "'; rename one, or leave out --draw and --maps.");
    }
  }
}

train::ClassList read_class_file(const std::string& path,
                                 const ModelClasses& model,
                                 std::int64_t ignored_label) {
  if (fs::path(path).extension() == ".json" || is_json(path)) {
    return train::panoptic_classes(train::read_categories(path));
  }
  train::SemanticSetOptions options;
  options.names = path;
  options.ignored = static_cast<std::uint32_t>(ignored_label);
  train::ClassList classes = train::semantic_classes(options);
  classes.things =
      model.pixels ? std::min(model.counts.things, size_of(classes)) : size_of(classes);
  return classes;
}

}  // namespace batchscope::app
