#include "engine/data/semantic_dataset.h"

#include "engine/contract/error.h"
#include "engine/data/fnv.h"
#include "engine/data/label_tensor.h"
#include "engine/data/name_list.h"
#include "engine/metrics/panoptic_files.h"
#include "engine/metrics/parallel.h"

#include <algorithm>
#include <filesystem>
#include <thread>

namespace batchscope::train {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxClasses = 32767;  // labels are int16

std::vector<std::string> map_names(const SemanticSetOptions& options) {
  const auto present = names_in_folder(options.labels, "The folder of label PNGs");
  std::vector<std::string> names;
  if (options.list.empty()) {
    for (const std::string& name : present) {
      if (fs::path(name).extension() == ".png") {
        names.push_back(name);
      }
    }
    std::sort(names.begin(), names.end());
  } else {
    for (const std::string& name : read_name_list(options.list)) {
      names.push_back(name + ".png");
      if (!present.contains(names.back())) {
        listed_file_missing(options.list, name, options.labels, names.back());
      }
    }
  }
  if (names.empty()) {
    throw contract::DataError("The folder of label PNGs '" + options.labels + "' has no PNG.");
  }
  return names;
}

/// Values from the first that is not ignored up to the greatest in the PNGs.
ClassList scanned_classes(const std::string& folder,
                          const std::vector<std::string>& names,
                          std::uint32_t ignored) {
  std::vector<std::int64_t> greatest(names.size(), -1);
  const unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  in_parallel(names.size(), threads, [&](std::size_t i) {
    const LabelMap map =
        read_label_map((fs::path(folder) / names[i]).string(), LabelCoding::kSemantic);
    for (const std::uint32_t value : map.labels) {
      if (value != ignored) {
        greatest[i] = std::max<std::int64_t>(greatest[i], value);
      }
    }
  });
  const std::int64_t last = *std::max_element(greatest.begin(), greatest.end());
  ClassList classes;
  for (std::int64_t value = ignored == 0 ? 1 : 0; value <= last; ++value) {
    if (value != ignored) {
      classes.ids.push_back(value);
      classes.names.push_back("class " + std::to_string(value));
    }
  }
  return classes;
}

ClassList named_classes(const SemanticSetOptions& options) {
  ClassList classes;
  if (fs::path(options.names).extension() == ".json") {
    std::vector<PanopticCategory> categories = read_categories(options.names);
    std::sort(categories.begin(), categories.end(), [](const auto& a, const auto& b) {
      return a.id < b.id;
    });
    for (PanopticCategory& category : categories) {
      classes.ids.push_back(category.id);
      classes.names.push_back(std::move(category.name));
    }
    return classes;
  }
  classes.names = read_lines(options.names, "The file of class names");
  for (std::size_t i = 0; i < classes.names.size(); ++i) {
    classes.ids.push_back(static_cast<std::int64_t>(i) + (options.ignored == 0 ? 1 : 0));
  }
  return classes;
}

}  // namespace

ClassList semantic_classes(const SemanticSetOptions& options) {
  return options.names.empty()
             ? scanned_classes(options.labels, map_names(options), options.ignored)
             : named_classes(options);
}

SemanticDataset::SemanticDataset(const SemanticSetOptions& options)
    : SemanticDataset(find(options), options) {}

SemanticDataset::SemanticDataset(Files files, const SemanticSetOptions& options)
    : PictureSet(content_of(files, options)), files_(std::move(files)) {
  labels_.emplace(options.ignored, 0);
  for (std::size_t i = 0; i < classes().size(); ++i) {
    const auto label = static_cast<std::int64_t>(i) + 1;
    labels_.emplace(static_cast<std::uint32_t>(category_id(label)),
                    static_cast<std::uint32_t>(label));
  }
}

SemanticDataset::Files SemanticDataset::find(const SemanticSetOptions& options) {
  Files files{options.labels, map_names(options)};
  if (options.max_pictures > 0 && files.names.size() > std::size_t(options.max_pictures)) {
    files.names.resize(static_cast<std::size_t>(options.max_pictures));
  }
  return files;
}

SetContent SemanticDataset::content_of(const Files& files, const SemanticSetOptions& options) {
  SetContent content;
  content.source = "The folder of label PNGs '" + files.folder + "'";
  content.folder = options.images;
  content.classes = !options.classes.empty() ? options.classes
                    : options.names.empty()
                        ? scanned_classes(files.folder, files.names, options.ignored)
                        : named_classes(options);
  content.classes.things = 0;
  if (content.classes.names.size() > kMaxClasses) {
    throw contract::DataError(content.source + " has " +
                              std::to_string(content.classes.names.size()) +
                              " classes; expected at most " + std::to_string(kMaxClasses) + ".");
  }
  content.hash = kFnvStart;
  if (!options.names.empty()) {
    content.hash = hash_of_file(options.names, content.hash);
  }
  const auto pictures = names_in_folder(options.images, "The picture folder");
  for (const std::string& name : files.names) {
    const std::string stem = fs::path(name).stem().string();
    content.pictures.push_back({static_cast<std::int64_t>(content.pictures.size()) + 1,
                                picture_of_stem(stem, pictures, stem + ".jpg"),
                                0,
                                0,
                                {}});
    content.hash = hash_of_size(files.folder, name, content.hash);
  }
  return content;
}

std::string SemanticDataset::map_path(std::int64_t index) const {
  return (fs::path(files_.folder) / files_.names.at(static_cast<std::size_t>(index))).string();
}

Sample SemanticDataset::get(std::int64_t index) const {
  std::vector<std::size_t> kept;
  Sample sample = load(index, kept);
  const LabelMap map = *semantic_truth(index);
  require_size_of(sample.image, sample.name, map, map_path(index));
  sample.semantic = label_tensor(map);
  return sample;
}

std::optional<LabelMap> SemanticDataset::semantic_truth(std::int64_t index) const {
  LabelMap map = read_label_map(map_path(index), LabelCoding::kSemantic);
  std::vector<std::uint32_t> known;  // labels of the values seen, plus 1
  for (std::uint32_t& pixel : map.labels) {
    if (pixel >= known.size()) {
      known.resize(pixel + 1);
    }
    if (known[pixel] == 0) {
      const auto label = labels_.find(pixel);
      if (label == labels_.end()) {
        throw contract::DataError("The label picture '" + map_path(index) + "' has the value " +
                                  std::to_string(pixel) + ", which is none of the " +
                                  std::to_string(classes().size()) + " classes.");
      }
      known[pixel] = label->second + 1;
    }
    pixel = known[pixel] - 1;
  }
  return map;
}

}  // namespace batchscope::train
