#pragma once

#include "engine/data/picture_set.h"
#include "engine/metrics/openimages.h"

#include <string>

namespace batchscope::train {

struct OpenImagesOptions {
  std::string annotations;  // CSV of boxes: ImageID, LabelName, XMin, XMax, YMin, YMax; IsGroupOf
  std::string images;       // folder of the pictures, called by their ids
  std::string list;         // ids to use, one per line; empty: every id of the CSV
  std::string names;  // CSV of LabelName, DisplayName: the classes; empty: the labels found, sorted
  ClassList classes;  // the training set's; empty: by `names`
  // Of the set's own figure; empty: none.
  std::string hierarchy;     // JSON: the tree of classes
  std::string image_labels;  // CSV of verified labels: ImageID, LabelName, Confidence
};

/// Open Images' boxes, in shares of the picture's sides. A picture is its id with .jpg, .jpeg or
/// .png; its number is its place, from 1. Group-of boxes are crowd in truth(): not trained on, and
/// detections inside are no false alarms. Throws contract::DataError naming the file and the line:
/// no such file, a column missing, a row with more or fewer fields, a value that is none, a share
/// outside 0…1, a label that `names` or `classes` does not have.
class OpenImagesDataset : public PictureSet {
 public:
  explicit OpenImagesDataset(const OpenImagesOptions& options, const PictureChoice& choice = {});
  const OpenImagesRules* openimages() const override { return &rules_; }

 private:
  struct Content {
    SetContent set;
    OpenImagesRules rules;
  };
  static Content read(const OpenImagesOptions& options);
  OpenImagesDataset(Content content, const PictureChoice& choice);
  OpenImagesRules rules_;
};

/// The classes that `options` describe without `classes`. Throws contract::DataError.
ClassList openimages_classes(const OpenImagesOptions& options);

}  // namespace batchscope::train
