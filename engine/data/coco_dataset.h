#pragma once

#include "engine/data/coco_annotations.h"
#include "engine/data/dataset.h"

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::train {

struct CocoOptions {
  std::string annotations;        // JSON file
  std::string images;             // folder of the pictures
  std::int64_t max_pictures = 0;  // only the first N of the file; 0: all
  bool skip_empty = false;        // leave out pictures without a box to train on
  bool masks = false;             // every object but crowds has to have a segmentation
  /// Categories that decide the labels (the training set's, for a validation set); empty: the
  /// file's own. Every category of the file has to be among them.
  std::vector<CocoCategory> categories;
};

/// Pictures with COCO instance annotations, in the order of the file. Labels 1…C are the category
/// ids in ascending order. Boxes to train on are cut at the picture's border; crowd regions and
/// boxes without area are left out of them, and stay in truth(). Any thread.
class CocoDataset final : public Dataset {
 public:
  /// Throws contract::DataError: as read_coco_annotations, no pictures or categories, an id used
  /// twice, a category that is not known, pictures that are not in the folder.
  explicit CocoDataset(const CocoOptions& options);
  std::int64_t size() const override { return static_cast<std::int64_t>(pictures_.size()); }
  /// Throws contract::DataError naming the file also when its size is not what the annotations say.
  Sample get(std::int64_t index) const override;
  std::vector<TruthBox> truth(std::int64_t index) const override;
  /// With options.masks. Decodes the picture only where the annotations do not say its size.
  std::optional<std::vector<Rle>> truth_masks(std::int64_t index) const override;
  std::int64_t image_id(std::int64_t index) const override;
  std::optional<StoredPicture> stored(std::int64_t index) const override;
  const std::vector<std::string>& classes() const override { return classes_; }
  std::int64_t category_id(std::int64_t label) const override;
  std::string checksum() const override { return checksum_; }
  std::vector<std::string> warnings() const override { return warnings_; }

 private:
  struct Picture {
    CocoPicture info;
    std::vector<TruthBox> truth;
    std::vector<Segmentation> segmentations;  // of truth, with masks
  };
  void set_categories(const CocoOptions& options, std::vector<CocoCategory> own);
  void group(CocoAnnotations& annotations, std::int64_t max_pictures);
  void select(bool skip_empty);
  void require_pictures() const;
  void require_masks() const;
  Rle mask_of(const Picture& picture, std::size_t object, std::int64_t h, std::int64_t w) const;
  /// Masks of the boxes to train on, [N, height, width].
  torch::Tensor masks_of(const Picture& picture,
                         const std::vector<std::size_t>& objects,
                         std::int64_t height,
                         std::int64_t width) const;

  std::string file_, folder_;
  bool masks_ = false;
  std::vector<Picture> pictures_;
  std::vector<std::string> classes_;
  std::vector<std::int64_t> category_ids_;
  std::string checksum_;
  std::vector<std::string> warnings_;
};

}  // namespace batchscope::train
