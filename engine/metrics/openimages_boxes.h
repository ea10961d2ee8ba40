#pragma once

#include "engine/data/csv_file.h"
#include "engine/metrics/openimages.h"

#include <string>

namespace batchscope::train {

/// The rows of a CSV file of Open Images' boxes: ImageID, LabelName, XMin, XMax, YMin, YMax; true
/// ones may have IsGroupOf, found ones have a Score. Errors as CsvFile's.
class OpenImagesBoxFile : public CsvFile {
 public:
  enum class Of { kTruth, kDetections };
  OpenImagesBoxFile(const std::string& path, Of of)
      : CsvFile(path, of == Of::kTruth ? "The boxes file" : "The results file"), of_(of) {
    std::vector<std::string> columns = {"ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax"};
    if (of == Of::kDetections) {
      columns.emplace_back("Score");
    }
    read_header(columns);
    groups_ = of == Of::kTruth && has("IsGroupOf");
  }
  const std::string& image() const { return text("ImageID"); }
  const std::string& label() const { return text("LabelName"); }
  /// Of the present row, with these numbers for its picture and its label.
  OpenImagesBox box(std::int64_t image, std::int64_t label) const {
    return {.image = image,
            .label = label,
            .x1 = number("XMin"),
            .y1 = number("YMin"),
            .x2 = number("XMax"),
            .y2 = number("YMax"),
            .group = groups_ && flag("IsGroupOf"),
            .score = of_ == Of::kDetections ? number("Score") : 0};
  }

 private:
  Of of_;
  bool groups_ = false;
};

}  // namespace batchscope::train
