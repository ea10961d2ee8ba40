#pragma once

#include "engine/contract/error.h"
#include "engine/data/coco_dataset.h"
#include "tests/support/data_folder.h"

#include <string>

namespace batchscope {

/// Of rgb.jpg, grey.jpg and rgb.png, 21x14 px.
inline const std::string kPictures = BATCHSCOPE_FIXTURES "/engine/pictures";

/// Three pictures; ids with gaps, out of order; image 30: a box without area, one that
/// is too thin for float32, one wholly outside, a crowd, a box over the border; image 10: nothing;
/// image 20: two classes.
inline const char* const kSmallCoco = R"({"info": {"note": [1, {"images": 3}]}, "licenses": [],
 "images": [
  {"id": 30, "file_name": "rgb.jpg", "width": 21, "height": 14, "license": 1},
  {"id": 10, "file_name": "grey.jpg", "height": 14, "width": 21},
  {"id": 20, "file_name": "rgb.png"}],
 "annotations": [
  {"id": 1, "image_id": 30, "category_id": 90, "bbox": [2, 3, 5, 6], "area": 21.5, "iscrowd": 0,
   "segmentation": [[2, 3, 7, 3, 7, 9]]},
  {"id": 2, "image_id": 30, "category_id": 7, "bbox": [4, 4, 0, 5], "area": 0, "iscrowd": 0},
  {"id": 3, "image_id": 20, "category_id": 18, "bbox": [0.5, 1.5, 10.25, 4]},
  {"id": 4, "image_id": 30, "category_id": 7, "bbox": [1, 1, 12, 12], "area": 100, "iscrowd": 1,
   "segmentation": {"size": [14, 21], "counts": [3, 2]}},
  {"id": 5, "image_id": 30, "category_id": 18, "bbox": [15, 10, 9, 9], "area": 81},
  {"id": 6, "image_id": 20, "category_id": 7, "bbox": [3, 3, 4, 4], "iscrowd": false, "area": null},
  {"id": 7, "image_id": 30, "category_id": 18, "bbox": [3, 3, 1e-9, 4], "area": 1},
  {"id": 8, "image_id": 30, "category_id": 18, "bbox": [40, 3, 5, 4], "area": 20},
  {"id": 9, "image_id": 99, "category_id": 18, "bbox": [3, 3, 5, 4], "area": 20},
  {"id": 10, "image_id": 20, "category_id": 55, "bbox": [3, 3, 5, 4], "area": 20}],
 "categories": [{"id": 90, "name": "toothbrush"}, {"id": 7, "name": "train", "supercategory": "x"},
  {"id": 18, "name": "dog"}]})";

/// A file a.json with this text.
class JsonFile {
 public:
  explicit JsonFile(const std::string& text) { folder_.write("a.json", text); }
  std::string path() const { return folder_.path("a.json"); }

 private:
  DataFolder folder_;
};

/// What is said of annotations with this text; without other images those are of kPictures.
inline std::string error_of(const std::string& json, train::CocoOptions options = {}) {
  const JsonFile file(json);
  options.annotations = file.path();
  if (options.images.empty()) {
    options.images = kPictures;
  }
  return sentence_of<contract::DataError>([&] { const train::CocoDataset set(options); });
}

}  // namespace batchscope
