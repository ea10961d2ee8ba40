#pragma once

#include "engine/data/picture_set.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace batchscope::train {

struct SemanticSetOptions {
  std::string labels;  // folder of PNGs: grey values or indices of a palette
  std::string images;  // folder of the pictures
  std::string list;    // names without ending, one per line; empty: every PNG
  /// Names of the classes: a text file with one per line, of the values from 1 (from 0 where
  /// another value is ignored); ADE20K's table of them (objectInfo150.txt), with the values in the
  /// column Idx (less 1 where another value is ignored); or JSON with COCO categories, whose ids
  /// are the values. Empty: all values up to the greatest in the PNGs of the list, whatever
  /// max_pictures is, called "class 1", …
  std::string names;
  std::uint32_t ignored = 0;      // pixels of this value are not labelled
  ClassList classes;              // the training set's; empty: by `names`
  std::int64_t max_pictures = 0;  // as PictureChoice
};

/// A folder of pictures and one of label PNGs of the same names (ADE20K's convention, COCO's
/// semantic PNGs): every class is stuff. Label = place of the pixel's value among the classes'
/// ids. Any thread.
class SemanticDataset final : public PictureSet {
 public:
  /// Throws contract::DataError as PictureSet; also for a folder without PNGs, a name of the list
  /// that has none, no or more than 32,767 classes.
  explicit SemanticDataset(const SemanticSetOptions& options);
  std::optional<LabelMap> semantic_truth(std::int64_t index) const override;

 protected:
  /// Throws contract::DataError also for a PNG that is damaged, of another size than the picture,
  /// or has a value that is no class.
  Sample read_sample(std::int64_t index) const override;

 private:
  static SetContent content_of(const std::vector<std::string>& maps,
                               const SemanticSetOptions& options);
  SemanticDataset(std::vector<std::string> maps, const SemanticSetOptions& options);
  std::string map_path(std::int64_t index) const;
  LabelMap read_labels(std::int64_t index) const;

  std::string folder_;
  std::vector<std::string> maps_;  // names; those of the set's pictures come first
  std::unordered_map<std::uint32_t, std::uint32_t> labels_;  // of pixel values
};

/// The classes that `options` describe without `classes`; PNGs are read only where there are no
/// names. Throws contract::DataError.
ClassList semantic_classes(const SemanticSetOptions& options);

}  // namespace batchscope::train
