#include "engine/data/semantic_dataset.h"

#include "engine/contract/error.h"
#include "engine/data/fnv.h"
#include "engine/data/label_tensor.h"
#include "engine/data/name_list.h"
#include "engine/metrics/panoptic_files.h"
#include "engine/metrics/parallel.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>
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
        listed_file_missing(options.list, name, options.labels, names.back(), present);
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

constexpr const char* kNames = "The file of class names";

/// What separates the columns of ADE20K's table of classes, objectInfo150.txt (tabs) or
/// object150_info.csv (commas); 0: these are the lines of another file.
char separator_of(const std::string& header) {
  for (const char separator : {'\t', ','}) {
    if (header.starts_with(std::string("Idx") + separator) &&
        header.ends_with(separator + std::string("Name"))) {
      return separator;
    }
  }
  return 0;
}

std::string_view without_blanks(std::string_view text) {
  constexpr const char* kBlank = " \t\r";
  const std::size_t begin = text.find_first_not_of(kBlank);
  return begin == std::string_view::npos
             ? std::string_view()
             : text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

/// What follows the first `count` separators, up to a comma; nothing where there are fewer.
std::string_view name_in(std::string_view row, char separator, std::ptrdiff_t count) {
  for (; count > 0; --count) {
    const std::size_t at = row.find(separator);
    if (at == std::string_view::npos) {
      return {};
    }
    row.remove_prefix(at + 1);
  }
  return without_blanks(row.substr(0, row.find(',')));
}

/// Idx and Name of the table's rows. A name ends before its first comma: what follows are synonyms.
/// The CSV's semicolons, which also stand for blanks ("pool;table;billiard;table"), stay.
ClassList table_classes(const std::vector<std::string>& lines, const SemanticSetOptions& options) {
  const char separator = separator_of(lines.front());
  const auto separators = std::count(lines.front().begin(), lines.front().end(), separator);
  ClassList classes;
  std::int64_t last = 0;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::string_view row = lines[i];
    const std::string_view first = without_blanks(row.substr(0, row.find(separator)));
    const std::string_view name = name_in(row, separator, separators);
    std::int64_t value = 0;
    const auto read = std::from_chars(first.data(), first.data() + first.size(), value);
    if (read.ec != std::errc() || read.ptr != first.data() + first.size() || value <= last ||
        value > UINT16_MAX || name.empty()) {
      throw contract::DataError(
          std::string(kNames) + " '" + options.names + "' has the row '" + lines[i].substr(0, 60) +
          "'; expected " + std::to_string(separators + 1) + " columns, the first a value above " +
          std::to_string(last) + " and of 16 bits, the last a name.");
    }
    last = value;
    classes.ids.push_back(value - (options.ignored == 0 ? 0 : 1));
    classes.names.emplace_back(name);
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
  classes.names = read_lines(options.names, kNames);
  if (separator_of(classes.names.front()) != 0) {
    return table_classes(classes.names, options);
  }
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
    : SemanticDataset(map_names(options), options) {}

SemanticDataset::SemanticDataset(std::vector<std::string> maps, const SemanticSetOptions& options)
    : PictureSet(content_of(maps, options)), folder_(options.labels), maps_(std::move(maps)) {
  labels_.emplace(options.ignored, 0);
  for (std::size_t i = 0; i < classes().size(); ++i) {
    const auto label = static_cast<std::int64_t>(i) + 1;
    labels_.emplace(static_cast<std::uint32_t>(category_id(label)),
                    static_cast<std::uint32_t>(label));
  }
}

SetContent SemanticDataset::content_of(const std::vector<std::string>& maps,
                                       const SemanticSetOptions& options) {
  SetContent content;
  content.source = "The folder of label PNGs '" + options.labels + "'";
  content.folder = options.images;
  content.classes = !options.classes.empty() ? options.classes
                    : options.names.empty() ? scanned_classes(options.labels, maps, options.ignored)
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
  const auto most =
      options.max_pictures > 0 ? static_cast<std::size_t>(options.max_pictures) : maps.size();
  for (std::size_t i = 0; i < std::min(most, maps.size()); ++i) {
    const std::string stem = fs::path(maps[i]).stem().string();
    content.pictures.push_back({static_cast<std::int64_t>(content.pictures.size()) + 1,
                                picture_of_stem(stem, pictures, stem + ".jpg"),
                                0,
                                0,
                                {}});
    content.hash = hash_of_size(options.labels, maps[i], content.hash);
  }
  return content;
}

std::string SemanticDataset::map_path(std::int64_t index) const {
  return (fs::path(folder_) / maps_.at(static_cast<std::size_t>(index))).string();
}

Sample SemanticDataset::read_sample(std::int64_t index) const {
  std::vector<std::size_t> kept;
  Sample sample = load(index, kept);
  const LabelMap map = read_labels(index);
  require_size_of(sample.image, sample.name, map, map_path(index));
  sample.semantic = label_tensor(map);
  return sample;
}

std::optional<LabelMap> SemanticDataset::semantic_truth(std::int64_t index) const {
  return in_set([&] { return read_labels(index); });
}

LabelMap SemanticDataset::read_labels(std::int64_t index) const {
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
