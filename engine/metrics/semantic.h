#pragma once

#include "engine/metrics/label_map.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace batchscope::train {

/// Pixels of one class.
struct ClassPixels {
  std::uint64_t both = 0, truth = 0, found = 0;
  /// Intersection over union; -1 where the class is in neither.
  double iou() const;
  /// Of the true pixels, those found; -1 where there are none.
  double accuracy() const;
};

/// What semantic figures are made of. Sums of counts: pictures may be added in any order.
class SemanticCounts {
 public:
  /// Pixels whose true label is in `ignore` are left out. A predicted label that is in `ignore`, or
  /// not in `known`, is a miss of the true class and no false alarm of another. `known` empty: all
  /// are.
  explicit SemanticCounts(std::set<std::uint32_t> ignore = {}, std::set<std::uint32_t> known = {})
      : ignore_(std::move(ignore)), known_(std::move(known)) {}
  void add(const std::vector<LabelPair>& pairs);
  void add(const SemanticCounts& other);

  /// By label; a class counts as soon as it is true or predicted somewhere.
  const std::map<std::uint32_t, ClassPixels>& classes() const { return classes_; }
  /// Means over the classes that occur: "mIoU", "mean_accuracy" (over those that are true
  /// somewhere); "pixel_accuracy" over all pixels. -1 where nothing is.
  std::map<std::string, double> metrics() const;

 private:
  std::set<std::uint32_t> ignore_, known_;
  std::map<std::uint32_t, ClassPixels> classes_;
};

struct SemanticOptions {
  std::set<std::uint32_t> ignore;
  std::set<std::uint32_t> known;  // categories; empty: every label is one
  unsigned threads = 1;
};

/// Compares each PNG of a folder with the one of the same name in the other (subfolders too).
/// Throws contract::DataError: no folder, no PNG in it, one missing, damaged or of another size, a
/// true label that is neither known nor ignored.
SemanticCounts compare_semantic(const std::string& truth_folder,
                                const std::string& found_folder,
                                const SemanticOptions& options);

}  // namespace batchscope::train
