#include "engine/data/voc_dataset.h"

#include "engine/contract/error.h"
#include "engine/data/fnv.h"
#include "engine/data/name_list.h"
#include "engine/data/voc_annotation.h"

#include <algorithm>
#include <filesystem>
#include <set>

namespace batchscope::train {
namespace {

namespace fs = std::filesystem;

struct NamedAnnotation {
  std::string stem, path;
  VocAnnotation annotation;
};

/// Names of the XML files without ending, in the order of their pictures.
std::vector<std::string> stems(const VocOptions& options) {
  const auto present = names_in_folder(options.annotations, "The annotation folder");
  std::vector<std::string> names;
  if (options.list.empty()) {
    for (const std::string& name : present) {
      if (fs::path(name).extension() == ".xml") {
        names.push_back(fs::path(name).stem().string());
      }
    }
    std::sort(names.begin(), names.end());
    if (names.empty()) {
      throw contract::DataError("The annotation folder '" + options.annotations +
                                "' has no XML file.");
    }
    return names;
  }
  names = read_name_list(options.list);
  for (const std::string& name : names) {
    const std::string file = name + ".xml";
    if (!present.contains(file)) {
      listed_file_missing(options.list, name, options.annotations, file, present);
    }
  }
  return names;
}

std::vector<NamedAnnotation> read_all(const VocOptions& options) {
  std::vector<NamedAnnotation> all;
  for (std::string& stem : stems(options)) {
    const std::string path = (fs::path(options.annotations) / (stem + ".xml")).string();
    all.push_back({std::move(stem), path, read_voc_annotation(path)});
  }
  return all;
}

ClassList classes_of(const std::vector<NamedAnnotation>& files) {
  std::set<std::string> names;
  for (const NamedAnnotation& file : files) {
    for (const VocObject& object : file.annotation.objects) {
      names.insert(object.name);
    }
  }
  return numbered_classes({names.begin(), names.end()});
}

TruthBox truth_box(const VocObject& object, std::int64_t label) {
  TruthBox box;
  box.x = object.xmin - 1;
  box.y = object.ymin - 1;
  box.w = object.xmax - object.xmin + 1;
  box.h = object.ymax - object.ymin + 1;
  box.area = box.w * box.h;
  box.label = label;
  box.crowd = object.difficult;
  return box;
}

}  // namespace

ClassList voc_classes(const VocOptions& options) {
  return classes_of(read_all(options));
}

SetContent read_voc(const VocOptions& options) {
  const std::vector<NamedAnnotation> files = read_all(options);
  const auto pictures = names_in_folder(options.images, "The picture folder");
  SetContent content;
  content.source = "The annotation folder '" + options.annotations + "'";
  content.folder = options.images;
  content.crowd = "difficult (difficult 1)";
  content.classes = options.classes.empty() ? classes_of(files) : options.classes;
  content.hash = kFnvStart;
  const auto labels = labels_of_names(content.classes);
  for (const NamedAnnotation& file : files) {
    content.hash = hash_of_file(file.path, content.hash);
    const VocAnnotation& a = file.annotation;
    SetPicture picture{
        static_cast<std::int64_t>(content.pictures.size()) + 1,
        picture_of_stem(file.stem, pictures, a.filename.empty() ? file.stem + ".jpg" : a.filename),
        a.width,
        a.height,
        {}};
    for (const VocObject& object : a.objects) {
      const auto label = labels.find(object.name);
      if (label == labels.end()) {
        throw contract::DataError("The annotation file '" + file.path + "' has the class '" +
                                  object.name + "', which the training annotations do not have.");
      }
      picture.truth.push_back(truth_box(object, label->second));
    }
    content.pictures.push_back(std::move(picture));
  }
  return content;
}

}  // namespace batchscope::train
