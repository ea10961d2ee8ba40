#pragma once

#include "engine/data/picture_set.h"

#include <cstdint>
#include <string>

namespace batchscope::train {

struct CocoOptions {
  std::string annotations;        // JSON file
  std::string images;             // folder of the pictures
  std::int64_t max_pictures = 0;  // as PictureChoice
  bool skip_empty = false;        // likewise
  bool masks = false;             // every object but crowds has to have a segmentation
  ClassList classes;              // that decide the labels; empty: the file's own
};

/// Pictures with COCO instance annotations, in the order of the file. Labels 1…C are the category
/// ids in ascending order. Any thread.
class CocoDataset final : public PictureSet {
 public:
  /// Throws contract::DataError as read_coco_annotations and PictureSet; also for no categories, an
  /// id used twice, a category that `classes` does not have, an object without its mask.
  explicit CocoDataset(const CocoOptions& options);
  /// With options.masks. Decodes the picture only where the annotations do not say its size.
  std::optional<std::vector<Rle>> truth_masks(std::int64_t index) const override;
  MaskFaults mask_faults(std::int64_t index,
                         std::int64_t height,
                         std::int64_t width) const override;

 protected:
  Sample read_sample(std::int64_t index) const override;

 private:
  void require_masks(const std::string& path) const;
  Rle mask_of(const SetPicture& picture, std::size_t object, std::int64_t h, std::int64_t w) const;

  bool masks_;
};

/// The file's categories by ascending id. Throws contract::DataError as read_coco_annotations.
ClassList coco_classes(const std::string& annotations);

}  // namespace batchscope::train
