#pragma once

#include "engine/metrics/panoptic.h"
#include "engine/train/found_objects.h"

#include <fstream>
#include <string>
#include <vector>

namespace batchscope::app {

/// A COCO results file: a list of image_id, file_name, category_id, bbox (x y w h), score and, of
/// models with masks, segmentation. Written under another name until finish().
class ResultsFile {
 public:
  /// Throws contract::StorageError, as all of it.
  explicit ResultsFile(std::string path);
  ~ResultsFile();
  ResultsFile(const ResultsFile&) = delete;
  ResultsFile& operator=(const ResultsFile&) = delete;
  void add(const std::string& file_name, const train::FoundObjects& found);
  void finish();

 private:
  std::string path_, unfinished_;
  std::ofstream file_;
  bool first_ = true;
};

/// PNGs of labels, one for each picture: of segments, in COCO's panoptic coding with FOLDER.json
/// beside the folder; else of classes (1…C).
class MapFiles {
 public:
  MapFiles(std::string folder, std::vector<train::PanopticCategory> categories);
  /// Throws contract::DataError when the model labels no pixels, contract::StorageError.
  void add(const std::string& file_name, std::int64_t image_id, const train::FoundObjects& found);
  void finish();

 private:
  std::string folder_;
  std::vector<train::PanopticCategory> categories_;
  std::vector<std::string> annotations_;  // JSON
};

}  // namespace batchscope::app
