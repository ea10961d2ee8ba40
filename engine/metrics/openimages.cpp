#include "engine/metrics/openimages.h"

#include "engine/data/json_reader.h"

#include <algorithm>

namespace batchscope::train {
namespace {

using Boxes = std::vector<const OpenImagesBox*>;

struct OfPicture {
  Boxes objects, groups, detections;
};

/// One detection, or those united in a group-of box.
struct Outcome {
  double score = 0;
  double hit = 0;  // its weight; 0: a false alarm
};

double area(const OpenImagesBox& box) {
  return (box.x2 - box.x1) * (box.y2 - box.y1);
}

double shared(const OpenImagesBox& a, const OpenImagesBox& b) {
  const double w = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const double h = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  return w > 0 && h > 0 ? w * h : 0;
}

double overlap(const OpenImagesBox& detection, const OpenImagesBox& truth) {
  const double both = shared(detection, truth);
  return both > 0 ? both / (area(detection) + area(truth) - both) : 0;
}

double inside(const OpenImagesBox& detection, const OpenImagesBox& group) {
  return shared(detection, group) / area(detection);
}

/// The first of the boxes with the greatest measure, and that measure; none: -1.
template <typename Measure>
std::pair<std::size_t, double> best(const Boxes& boxes,
                                    const OpenImagesBox& detection,
                                    const Measure& measure) {
  std::pair<std::size_t, double> found = {0, -1};
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const double value = measure(detection, *boxes[i]);
    if (value > found.second) {
      found = {i, value};
    }
  }
  return found;
}

/// Matches the detections of one label in one picture.
void match(OfPicture& picture, const OpenImagesApOptions& options, std::vector<Outcome>& out) {
  std::stable_sort(picture.detections.begin(),
                   picture.detections.end(),
                   [](const auto* a, const auto* b) { return a->score > b->score; });
  std::vector<bool> taken(picture.objects.size());
  std::vector<double> group_scores(picture.groups.size(), -1);
  for (const OpenImagesBox* detection : picture.detections) {
    const auto [object, share] = best(picture.objects, *detection, overlap);
    if (share >= options.overlap && !taken[object]) {
      taken[object] = true;
      out.push_back({detection->score, 1});
      continue;
    }
    const auto [group, part] = best(picture.groups, *detection, inside);
    if (part >= options.overlap) {
      group_scores[group] = std::max(group_scores[group], detection->score);
    } else {
      out.push_back({detection->score, 0});
    }
  }
  for (const double score : group_scores) {
    if (score > 0 && options.group_weight > 0) {
      out.push_back({score, options.group_weight});
    }
  }
}

double average_precision(std::vector<Outcome>& outcomes, double objects) {
  std::stable_sort(outcomes.begin(), outcomes.end(), [](const Outcome& a, const Outcome& b) {
    return a.score > b.score;
  });
  std::vector<double> recall, precision;
  double hits = 0, alarms = 0;
  for (const Outcome& outcome : outcomes) {
    hits += outcome.hit;
    alarms += outcome.hit > 0 ? 0 : 1;
    recall.push_back(hits / objects);
    precision.push_back(hits / (hits + alarms));
  }
  double sum = 0, reached = 0;
  for (std::size_t i = precision.size(); i-- > 1;) {
    precision[i - 1] = std::max(precision[i - 1], precision[i]);
  }
  for (std::size_t i = 0; i < recall.size(); ++i) {
    sum += (recall[i] - reached) * precision[i];
    reached = recall[i];
  }
  return sum;
}

/// A node of the file and all below it; the reader bounds the depth. `path`: the labels above, the
/// root left out.
void read_node(JsonReader& reader,
               std::vector<std::string>& path,
               std::vector<std::vector<std::string>>& paths,
               bool root) {
  // A node's name may stand behind its children: their paths are then mended.
  const std::size_t first = paths.size(), depth = path.size();
  std::string name;
  reader.begin_object();
  if (!root) {
    path.emplace_back();
  }
  for (std::string_view key; reader.key(key);) {
    if (key == "LabelName") {
      name = reader.text();
    } else if (key == "Subcategory") {
      for (reader.begin_list(); reader.item();) {
        read_node(reader, path, paths, false);
      }
    } else {
      reader.skip();
    }
  }
  if (name.empty()) {
    reader.fail("no LabelName");
  }
  if (!root) {
    for (std::size_t i = first; i < paths.size(); ++i) {
      paths[i][depth] = name;
    }
    path[depth] = name;
    paths.push_back(path);
    path.pop_back();
  }
}

const std::set<std::string>& of(const std::unordered_map<std::string, std::set<std::string>>& map,
                                const std::string& label) {
  static const std::set<std::string> kNone;
  const auto found = map.find(label);
  return found == map.end() ? kNone : found->second;
}

}  // namespace

OpenImagesFigures openimages_ap(const OpenImagesSet& set, const OpenImagesApOptions& options) {
  std::map<std::int64_t, std::map<std::int64_t, OfPicture>> labels;
  std::map<std::int64_t, double> objects;
  for (const OpenImagesBox& box : set.truth) {
    OfPicture& picture = labels[box.label][box.image];
    (box.group ? picture.groups : picture.objects).push_back(&box);
    objects[box.label] += box.group ? options.group_weight : 1;
  }
  for (const OpenImagesBox& box : set.detections) {
    auto& pictures = labels[box.label];
    const bool judged =
        pictures.contains(box.image) || set.verified.contains({box.image, box.label});
    if (judged && box.x2 > box.x1 && box.y2 > box.y1) {
      pictures[box.image].detections.push_back(&box);
    }
  }
  OpenImagesFigures figures;
  double sum = 0;
  for (auto& [label, pictures] : labels) {
    if (objects[label] <= 0) {
      continue;
    }
    std::vector<Outcome> outcomes;
    for (auto& [image, picture] : pictures) {
      match(picture, options, outcomes);
    }
    sum += figures.by_label[label] = average_precision(outcomes, objects[label]);
  }
  if (!figures.by_label.empty()) {
    figures.ap = sum / static_cast<double>(figures.by_label.size());
  }
  return figures;
}

OpenImagesSet openimages_set(const CocoSet& boxes, const OpenImagesRules& rules) {
  OpenImagesSet set;
  set.verified = rules.verified;
  for (const EvalTruth& t : boxes.truth) {
    OpenImagesBox box{.image = t.image,
                      .label = t.category,
                      .x1 = t.x,
                      .y1 = t.y,
                      .x2 = t.x + t.w,
                      .y2 = t.y + t.h,
                      .group = t.crowd};
    set.truth.push_back(box);
    const auto above = rules.above.find(t.category);
    for (std::size_t i = 0; above != rules.above.end() && i < above->second.size(); ++i) {
      box.label = above->second[i];
      set.truth.push_back(box);
    }
  }
  for (const EvalDetection& d : boxes.detections) {
    set.detections.push_back({.image = d.image,
                              .label = d.category,
                              .x1 = d.x,
                              .y1 = d.y,
                              .x2 = d.x + d.w,
                              .y2 = d.y + d.h,
                              .score = d.score});
  }
  return set;
}

LabelHierarchy::LabelHierarchy(const std::string& path) {
  JsonReader reader(path, "The class hierarchy");
  std::vector<std::string> above;
  std::vector<std::vector<std::string>> paths;
  read_node(reader, above, paths, true);
  reader.finish();
  for (const std::vector<std::string>& line : paths) {
    const std::string& label = line.back();
    auto& own = above_[label];
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
      own.insert(line[i]);
      below_[line[i]].insert(label);
    }
  }
}

const std::set<std::string>& LabelHierarchy::above(const std::string& label) const {
  return of(above_, label);
}

const std::set<std::string>& LabelHierarchy::below(const std::string& label) const {
  return of(below_, label);
}

}  // namespace batchscope::train
