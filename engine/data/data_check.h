#pragma once

#include "engine/data/dataset.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::train {

/// Least, median and greatest of some numbers.
struct Spread {
  double least = 0, median = 0, greatest = 0;
};

struct ClassCount {
  std::string name;
  std::int64_t boxes = 0, crowds = 0;  // of things; crowds are not among the boxes
  std::int64_t pictures = 0;           // that have it
  std::int64_t pixels = 0;             // of the semantic map, where it was decoded
};

/// What is wrong, or odd, with a set.
struct Finding {
  bool error = false;  // a training would fail
  std::string kind;    // "unusable_pictures", "bad_boxes", "outside", …
  std::int64_t count = 0;
  std::string sentence;  // with the first case
};

struct DataReport {
  std::int64_t pictures = 0;  // of the set
  std::int64_t looked_at = 0;
  std::int64_t boxes = 0, crowds = 0, no_area = 0;  // boxes without area are in neither
  std::int64_t pictures_without_boxes = 0;
  std::int64_t small = 0, medium = 0, large = 0;  // boxes below 32², up to 96² px, above (COCO)
  std::optional<Spread> widths, heights;          // of the pictures, px
  std::optional<Spread> sides, per_picture;  // square root of the boxes' w · h, px; their number
  std::vector<ClassCount> classes;
  std::vector<Finding> findings;       // errors first
  std::vector<std::string> paths;      // of the pictures looked at
  std::vector<std::uint64_t> content;  // hashes of these files, when decoded; 0: could not be read
  bool ok() const { return findings.empty() || !findings.front().error; }
};

struct DataCheckOptions {
  bool decode = true;             // pictures and maps as training does; else headers alone
  std::int64_t max_pictures = 0;  // looks at so many, evenly spread; 0: all
  unsigned threads = 1;           // the report does not depend on it
  std::function<void(std::int64_t done, std::int64_t total)> progress;  // any thread, one at a time
};

/// Looks at every picture and its truth. Whatever is wrong becomes a finding: pictures that are
/// missing, damaged or of another size than said, boxes with numbers that are none (errors); boxes
/// without area, out of the picture, below a pixel or twice, pictures twice or with an Exif
/// orientation other than 1, masks without a pixel or apart from their box, classes without a box
/// or with crowds alone, and the set's own warnings.
DataReport check_data(const Dataset& dataset, const DataCheckOptions& options);

/// Pictures that are in both sets, by path or by content, as a warning; nothing: none is.
std::optional<Finding> shared_pictures(const DataReport& training, const DataReport& validation);

/// The quick look before a training: headers of up to 5,000 pictures of each set. Throws
/// contract::DataError with the first error; returns the warnings, without those that the training
/// set gives itself. Drawn sets are not looked at.
std::vector<std::string> preflight(const Dataset& training,
                                   const Dataset* validation,
                                   double max_broken = 0);

}  // namespace batchscope::train
