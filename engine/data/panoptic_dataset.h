#pragma once

#include "engine/data/picture_set.h"
#include "engine/metrics/panoptic_files.h"

#include <string>
#include <unordered_map>
#include <vector>

namespace batchscope::train {

struct PanopticOptions {
  std::string annotations;        // JSON file
  std::string images;             // folder of the pictures
  std::string segments;           // folder of the PNGs; empty: as panoptic_folder
  ClassList classes;              // that decide the labels; empty: the file's own
  bool masks = false;             // Sample::masks
  std::int64_t max_pictures = 0;  // as PictureChoice
  bool skip_empty = false;        // likewise; boxes are those of things
};

/// Pictures with COCO panoptic annotations, in the order of the file's annotations. Labels: the
/// things by rising category id, then the stuff. Segments of things are the boxes (the file's bbox
/// and area, or what the PNG has where it does not say) and the masks; all segments, crowds
/// included, are the semantic map. Any thread.
class PanopticDataset final : public PictureSet {
 public:
  /// Throws contract::DataError as read_panoptic_annotations and PictureSet; also for an annotation
  /// whose image is not listed, a segment of an unknown category, a PNG that is missing, categories
  /// that the training set does not have.
  explicit PanopticDataset(const PanopticOptions& options);
  std::optional<std::vector<Rle>> truth_masks(std::int64_t index) const override;
  std::optional<LabelMap> semantic_truth(std::int64_t index) const override;
  std::optional<PanopticTruth> panoptic_truth(std::int64_t index) const override;

 protected:
  /// Throws contract::DataError also for a PNG that is damaged, of another size than the picture,
  /// or has a segment that the file does not list.
  Sample read_sample(std::int64_t index) const override;

 private:
  struct Files {
    PanopticFile file;
    std::string folder;
  };
  static Files read_files(const PanopticOptions& options);
  static SetContent content_of(Files& files, const PanopticOptions& options);
  PanopticDataset(Files files, const PanopticOptions& options);
  std::vector<PanopticPicture> segments_of_set(std::vector<PanopticPicture> pictures) const;
  std::string map_path(std::int64_t index) const;
  LabelMap read_map(std::int64_t index) const;
  LabelMap semantic_of(const LabelMap& map, std::int64_t index) const;
  bool is_thing(const PanopticSegment& segment) const;

  std::string folder_;
  std::vector<PanopticPicture> segments_;
  std::unordered_map<std::int64_t, std::int64_t> labels_;  // of category ids
  bool masks_ = false;
};

/// Things by rising id, then stuff. Throws contract::DataError as read_categories.
ClassList panoptic_classes(const std::string& annotations);
/// The same of a list.
ClassList panoptic_classes(std::vector<PanopticCategory> categories);

}  // namespace batchscope::train
