#include "engine/metrics/openimages_files.h"

#include "engine/data/csv_file.h"

#include <memory>

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
      read_image_labels();
    }
    read_boxes(files_.truth, true);
    read_boxes(files_.detections, false);
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
  std::int64_t image(const std::string& id) {
    return images_.emplace(id, static_cast<std::int64_t>(images_.size())).first->second;
  }

  void read_image_labels() {
    CsvFile file(files_.image_labels, "The file of image labels");
    file.read_header({"ImageID", "LabelName", "Confidence"});
    while (file.next()) {
      const std::int64_t of = image(file.text("ImageID"));
      const std::string& name = file.text("LabelName");
      out_.set.verified.emplace(of, label(name));
      if (hierarchy_) {
        const bool present = file.number("Confidence") > 0;
        for (const std::string& other :
             present ? hierarchy_->above(name) : hierarchy_->below(name)) {
          out_.set.verified.emplace(of, label(other));
        }
      }
    }
  }

  void read_boxes(const std::string& path, bool truth) {
    CsvFile file(path, truth ? "The boxes file" : "The results file");
    std::vector<std::string> columns = {"ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax"};
    if (!truth) {
      columns.emplace_back("Score");
    }
    file.read_header(columns);
    const bool groups = truth && file.has("IsGroupOf");
    while (file.next()) {
      const std::string& id = file.text("ImageID");
      if (!truth && !images_.contains(id)) {
        file.fail("the truth has no picture '" + id + "'");
      }
      OpenImagesBox box{.image = image(id),
                        .label = 0,
                        .x1 = file.number("XMin"),
                        .y1 = file.number("YMin"),
                        .x2 = file.number("XMax"),
                        .y2 = file.number("YMax"),
                        .group = groups && file.flag("IsGroupOf"),
                        .score = truth ? 0 : file.number("Score")};
      add(box, file.text("LabelName"), truth);
    }
  }

  void add(OpenImagesBox box, const std::string& name, bool truth) {
    auto& boxes = truth ? out_.set.truth : out_.set.detections;
    box.label = label(name);
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

}  // namespace

OpenImagesInput read_openimages_files(const OpenImagesFiles& files) {
  return Reader(files).read();
}

}  // namespace batchscope::train
