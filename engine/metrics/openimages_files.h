#pragma once

#include "engine/metrics/openimages.h"

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace batchscope::train {

struct OpenImagesFiles {
  std::string truth;         // CSV: ImageID, LabelName, XMin, XMax, YMin, YMax; IsGroupOf
  std::string detections;    // CSV: the same columns and Score
  std::string image_labels;  // CSV: ImageID, LabelName, Confidence 0 or 1; empty: none
  std::string hierarchy;     // JSON; empty: none
  bool expand_detections = false;
};

struct OpenImagesInput {
  OpenImagesSet set;
  std::vector<std::string> labels;  // of the set's label numbers
};

/// Reads what openimages_ap() takes. With a hierarchy, boxes are repeated for every class above
/// theirs (as TensorFlow's oid_hierarchical_labels_expansion does), verified labels hold for the
/// classes above where present and for those below where absent; detections are repeated only on
/// request. Throws contract::DataError naming the file and the line; also for a picture of the
/// detections that the truth does not have.
OpenImagesInput read_openimages_files(const OpenImagesFiles& files);

/// Calls `verified` with the picture and the label of each row of a file of image labels, and of
/// each class that the row holds for by the hierarchy (nullptr: none), as above.
void read_image_labels(
    const std::string& path,
    const LabelHierarchy* hierarchy,
    const std::function<void(const std::string& image, const std::string& label)>& verified);

/// A set's pictures and classes by the names that the files have for them.
struct OpenImagesNames {
  std::unordered_map<std::string, std::int64_t> images;  // ImageID: image id
  std::unordered_map<std::string, std::int64_t> labels;  // LabelName: category id
};

/// What the two files say of these pictures and classes; an empty path: nothing. Other pictures are
/// left out, verified labels of other classes too. `warnings` gets a sentence each for classes that
/// the hierarchy lacks, for classes above that the set does not have, and for image labels of which
/// none is of the set. Throws contract::DataError.
OpenImagesRules read_openimages_rules(const std::string& hierarchy,
                                      const std::string& image_labels,
                                      const OpenImagesNames& names,
                                      std::vector<std::string>& warnings);

}  // namespace batchscope::train
