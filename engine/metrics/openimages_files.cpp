#include "engine/metrics/openimages_files.h"

#include "engine/metrics/openimages_boxes.h"

#include <algorithm>
#include <memory>
#include <optional>

namespace batchscope::train {
namespace {

using Numbers = std::unordered_map<std::string, std::int64_t>;

class Reader {
 public:
  explicit Reader(const OpenImagesFiles& files) : files_(files) {
    if (!files.hierarchy.empty()) {
      hierarchy_ = std::make_unique<LabelHierarchy>(files.hierarchy);
    }
  }
  OpenImagesInput read() {
    if (!files_.image_labels.empty()) {
      read_image_labels(files_.image_labels,
                        hierarchy_.get(),
                        [this](const std::string& image, const std::string& name) {
                          out_.set.verified.emplace(number(image), label(name));
                        });
    }
    read_boxes(files_.truth, OpenImagesBoxFile::Of::kTruth);
    read_boxes(files_.detections, OpenImagesBoxFile::Of::kDetections);
    return std::move(out_);
  }

 private:
  std::int64_t label(const std::string& name) {
    const auto [found, added] =
        labels_.emplace(name, static_cast<std::int64_t>(out_.labels.size()));
    if (added) {
      out_.labels.push_back(name);
    }
    return found->second;
  }
  std::int64_t number(const std::string& id) {
    return images_.emplace(id, static_cast<std::int64_t>(images_.size())).first->second;
  }

  void read_boxes(const std::string& path, OpenImagesBoxFile::Of of) {
    OpenImagesBoxFile file(path, of);
    const bool truth = of == OpenImagesBoxFile::Of::kTruth;
    while (file.next()) {
      const std::string& id = file.image();
      if (!truth && !images_.contains(id)) {
        file.fail("the truth has no picture '" + id + "'");
      }
      add(file.box(number(id), label(file.label())), file.label(), truth);
    }
  }

  void add(OpenImagesBox box, const std::string& name, bool truth) {
    auto& boxes = truth ? out_.set.truth : out_.set.detections;
    boxes.push_back(box);
    if (hierarchy_ && (truth || files_.expand_detections)) {
      for (const std::string& other : hierarchy_->above(name)) {
        box.label = label(other);
        boxes.push_back(box);
      }
    }
  }

  const OpenImagesFiles& files_;
  std::unique_ptr<LabelHierarchy> hierarchy_;
  Numbers labels_, images_;
  OpenImagesInput out_;
};

/// The classes above those of a set; those that it lacks are numbered behind its own.
class ClassesAbove {
 public:
  ClassesAbove(const std::string& path, const Numbers& labels) : path_(path), tree_(path) {
    std::int64_t next = 0;
    for (const auto& [name, label] : labels) {
      next = std::max(next, label + 1);
    }
    // By name: the numbers, and what is said first, do not depend on the order of a hash table.
    const std::map<std::string, std::int64_t> ordered(labels.begin(), labels.end());
    for (const auto& [name, label] : ordered) {
      if (!tree_.knows(name)) {
        unknown_.push_back(name);
      }
      for (const std::string& other : tree_.above(name)) {
        const auto own = labels.find(other);
        above_[label].push_back(own != labels.end() ? own->second
                                                    : other_.emplace(other, next).first->second);
        next = std::max(next, above_[label].back() + 1);
      }
    }
  }
  const LabelHierarchy& tree() const { return tree_; }
  std::map<std::int64_t, std::vector<std::int64_t>> take() { return std::move(above_); }
  void warn(std::size_t classes, std::vector<std::string>& warnings) const {
    if (!unknown_.empty()) {
      warnings.push_back("The class hierarchy '" + path_ + "' lacks " +
                         std::to_string(unknown_.size()) + " of " + std::to_string(classes) +
                         " classes, the first is '" + unknown_.front() + "'.");
    }
    if (!other_.empty()) {
      warnings.push_back("Above the classes the hierarchy '" + path_ + "' has " +
                         std::to_string(other_.size()) + " that the set has not, the first is '" +
                         other_.begin()->first +
                         "': OpenImages_AP50 counts them as missed where one below is true.");
    }
  }

 private:
  std::string path_;
  LabelHierarchy tree_;
  std::map<std::int64_t, std::vector<std::int64_t>> above_;
  std::map<std::string, std::int64_t> other_;
  std::vector<std::string> unknown_;
};

}  // namespace

void read_image_labels(
    const std::string& path,
    const LabelHierarchy* hierarchy,
    const std::function<void(const std::string& image, const std::string& label)>& verified) {
  CsvFile file(path, "The file of image labels");
  file.read_header({"ImageID", "LabelName", "Confidence"});
  while (file.next()) {
    const std::string& image = file.text("ImageID");
    const std::string& label = file.text("LabelName");
    verified(image, label);
    if (hierarchy != nullptr) {
      const bool present = file.number("Confidence") > 0;
      for (const std::string& other : present ? hierarchy->above(label) : hierarchy->below(label)) {
        verified(image, other);
      }
    }
  }
}

OpenImagesRules read_openimages_rules(const std::string& hierarchy,
                                      const std::string& image_labels,
                                      const OpenImagesNames& names,
                                      std::vector<std::string>& warnings) {
  OpenImagesRules rules;
  std::optional<ClassesAbove> above;
  if (!hierarchy.empty()) {
    above.emplace(hierarchy, names.labels);
    above->warn(names.labels.size(), warnings);
    rules.above = above->take();
  }
  if (image_labels.empty()) {
    return rules;
  }
  const auto verified = [&](const std::string& image, const std::string& label) {
    const auto of = names.images.find(image);
    const auto known = names.labels.find(label);
    if (of != names.images.end() && known != names.labels.end()) {
      rules.verified.emplace(of->second, known->second);
    }
  };
  read_image_labels(image_labels, above ? &above->tree() : nullptr, verified);
  if (rules.verified.empty()) {
    warnings.push_back("The file of image labels '" + image_labels +
                       "' has no label of the set's pictures and classes.");
  }
  return rules;
}

OpenImagesInput read_openimages_files(const OpenImagesFiles& files) {
  return Reader(files).read();
}

}  // namespace batchscope::train
