#pragma once

#include "app/class_match.h"
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
/// beside the folder; else of the classes' ids.
class MapFiles {
 public:
  /// Makes the folder. Throws contract::DataError when the model labels no pixels, or an id does
  /// not fit into a PNG of labels (0…65535); contract::StorageError.
  MapFiles(const std::string& folder, const ModelClasses& model, train::ClassList classes);
  /// Throws contract::StorageError.
  void add(const std::string& file_name, std::int64_t image_id, const train::FoundObjects& found);
  void finish();
  /// FOLDER.json; empty where there is none.
  std::string json() const { return panoptic_ ? json_of(folder_) : std::string(); }
  /// The file beside such a folder.
  static std::string json_of(std::string folder);

 private:
  std::string folder_;
  bool panoptic_;
  train::ClassList classes_;
  std::vector<std::string> annotations_;  // JSON
};

/// Throws contract::StorageError.
void make_folder(const std::string& folder);

}  // namespace batchscope::app
