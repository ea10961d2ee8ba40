#include "engine/metrics/semantic.h"

#include "engine/contract/error.h"
#include "engine/data/name_list.h"
#include "engine/metrics/parallel.h"

#include <algorithm>
#include <filesystem>

namespace batchscope::train {
namespace {

namespace fs = std::filesystem;

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? -1 : static_cast<double>(part) / static_cast<double>(whole);
}

bool is_png(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return extension == ".png";
}

/// Names of the PNGs below the folder, sorted.
std::vector<std::string> pictures_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const std::string& name : names_in_folder(folder, "The folder", /*below=*/true)) {
    if (is_png(name)) {
      names.push_back(name);
    }
  }
  if (names.empty()) {
    throw contract::DataError("The folder '" + folder + "' has no PNG pictures.");
  }
  std::sort(names.begin(), names.end());
  return names;
}

void require_known(const std::vector<LabelPair>& pairs,
                   const std::string& path,
                   const SemanticOptions& options) {
  for (const LabelPair& pair : pairs) {
    if (!options.known.empty() && !options.known.contains(pair.truth) &&
        !options.ignore.contains(pair.truth)) {
      throw contract::DataError("The label picture '" + path + "' has the label " +
                                std::to_string(pair.truth) +
                                ", which is neither a category nor ignored.");
    }
  }
}

}  // namespace

double ClassPixels::iou() const {
  return ratio(both, truth + found - both);
}

double ClassPixels::accuracy() const {
  return ratio(both, truth);
}

void SemanticCounts::add(const std::vector<LabelPair>& pairs) {
  for (const LabelPair& pair : pairs) {
    if (ignore_.contains(pair.truth)) {
      continue;
    }
    ClassPixels& truth = classes_[pair.truth];
    truth.truth += pair.pixels;
    truth.both += pair.truth == pair.found ? pair.pixels : 0;
    if (!ignore_.contains(pair.found) && (known_.empty() || known_.contains(pair.found))) {
      classes_[pair.found].found += pair.pixels;
    }
  }
}

void SemanticCounts::add(const SemanticCounts& other) {
  for (const auto& [label, pixels] : other.classes_) {
    ClassPixels& own = classes_[label];
    own.both += pixels.both;
    own.truth += pixels.truth;
    own.found += pixels.found;
  }
}

std::map<std::string, double> SemanticCounts::metrics() const {
  double iou = 0, accuracy = 0;
  std::uint64_t both = 0, all = 0, present = 0;
  for (const auto& [label, pixels] : classes_) {
    iou += pixels.iou();
    both += pixels.both;
    all += pixels.truth;
    if (pixels.truth > 0) {
      accuracy += pixels.accuracy();
      ++present;
    }
  }
  const auto mean = [](double sum, std::size_t n) {
    return n == 0 ? -1 : sum / static_cast<double>(n);
  };
  return {{"mIoU", mean(iou, classes_.size())},
          {"mean_accuracy", mean(accuracy, present)},
          {"pixel_accuracy", ratio(both, all)}};
}

SemanticCounts compare_semantic(const std::string& truth_folder,
                                const std::string& found_folder,
                                const SemanticOptions& options) {
  const std::vector<std::string> names = pictures_in(truth_folder);
  std::vector<SemanticCounts> parts(names.size(), SemanticCounts(options.ignore, options.known));
  in_parallel(names.size(), options.threads, [&](std::size_t i) {
    const std::string truth_path = (fs::path(truth_folder) / names[i]).string();
    const std::string found_path = (fs::path(found_folder) / names[i]).string();
    const LabelMap truth = read_label_map(truth_path, LabelCoding::kSemantic);
    const LabelMap found = read_label_map(found_path, LabelCoding::kSemantic);
    require_same_size(truth, truth_path, found, found_path);
    const std::vector<LabelPair> pairs = count_pairs(truth, found);
    require_known(pairs, truth_path, options);
    parts[i].add(pairs);
  });
  SemanticCounts counts(options.ignore, options.known);
  for (const SemanticCounts& part : parts) {
    counts.add(part);
  }
  return counts;
}

}  // namespace batchscope::train
