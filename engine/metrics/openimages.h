#pragma once

#include "engine/metrics/coco_metrics.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace batchscope::train {

/// A box of the Open Images protocol; any unit of length, the same for all of a picture.
struct OpenImagesBox {
  std::int64_t image = 0, label = 0;
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  bool group = false;  // of truth: one box around several objects
  double score = 0;    // of detections
};

struct OpenImagesSet {
  std::vector<OpenImagesBox> truth, detections;
  /// (image, label) of image-level labels that people verified, present or absent.
  std::set<std::pair<std::int64_t, std::int64_t>> verified;
};

struct OpenImagesApOptions {
  double overlap = 0.5;
  double group_weight = 1;  // 0: detections in a group-of box are ignored, and nothing is missed
};

struct OpenImagesFigures {
  double ap = -1;  // mean over the labels that have truth; -1: none has
  std::map<std::int64_t, double> by_label;
};

/// Average precision at one overlap by the protocol of the Open Images challenge (TensorFlow's
/// object detection API, OpenImagesDetectionChallengeEvaluator):
/// - detections of a label that is neither a true box of the picture nor verified there are left
///   out, as are those without area;
/// - by falling score, a detection takes the box (not group-of) of its label that it overlaps most;
///   the first one to reach `overlap` is a hit, later ones are false;
/// - false ones of which at least the share `overlap` lies in a group-of box of the label are
///   united to one hit of weight `group_weight` with the best score among them;
/// - a group-of box counts `group_weight` in the number of objects;
/// - the area under the precision that is reached at each recall or any higher one.
OpenImagesFigures openimages_ap(const OpenImagesSet& set, const OpenImagesApOptions& options = {});

/// What the protocol knows of a set of pictures beside its boxes. Labels are the set's category
/// ids; classes that only a hierarchy has are numbered behind them.
struct OpenImagesRules {
  std::map<std::int64_t, std::vector<std::int64_t>> above;   // boxes count for these classes, too
  std::set<std::pair<std::int64_t, std::int64_t>> verified;  // (image id, label)
};

/// What openimages_ap() takes, of boxes as COCO's figures take them: crowds are group-of boxes,
/// true boxes are repeated for the classes above theirs. Masks are not looked at.
OpenImagesSet openimages_set(const CocoSet& boxes, const OpenImagesRules& rules);

/// The tree of Open Images' classes; a class may stand in several places.
class LabelHierarchy {
 public:
  /// Reads LabelName and Subcategory of a JSON file; other keys (Part) are skipped. Throws
  /// contract::DataError naming the file, the entry and the place.
  explicit LabelHierarchy(const std::string& path);
  /// All classes above, without the root; empty also for an unknown one.
  const std::set<std::string>& above(const std::string& label) const;
  /// All classes below.
  const std::set<std::string>& below(const std::string& label) const;
  bool knows(const std::string& label) const { return above_.contains(label); }

 private:
  std::unordered_map<std::string, std::set<std::string>> above_, below_;
};

}  // namespace batchscope::train
