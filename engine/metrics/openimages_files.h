#pragma once

#include "engine/metrics/openimages.h"

#include <string>
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

}  // namespace batchscope::train
