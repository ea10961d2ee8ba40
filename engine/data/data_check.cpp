#include "engine/data/data_check.h"

#include "engine/data/data_look.h"
#include "engine/data/picture_set.h"
#include "engine/metrics/parallel.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <mutex>
#include <set>
#include <tuple>
#include <unordered_map>

namespace batchscope::train {
namespace {

std::optional<Spread> spread_of(std::vector<double> values) {
  if (values.empty()) {
    return std::nullopt;
  }
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return Spread{values.front(), (values[(n - 1) / 2] + values[n / 2]) / 2, values.back()};
}

/// Counts one kind of finding and keeps the first case.
class Counter {
 public:
  Counter(bool error, const char* kind, const char* one, const char* many)
      : error_(error), kind_(kind), one_(one), many_(many) {}
  void add(const std::string& first) {
    if (count_++ == 0) {
      first_ = first;
    }
  }
  void report(std::vector<Finding>& findings) const {
    if (count_ > 0) {
      findings.push_back(
          {error_,
           kind_,
           static_cast<std::int64_t>(count_),
           counted(count_, one_, many_) + (count_ == 1 ? ": " : ", the first: ") + first_});
    }
  }

 private:
  bool error_;
  const char *kind_, *one_, *many_;
  std::size_t count_ = 0;
  std::string first_;
};

/// Makes a report of the looks, in their order.
class Summary {
 public:
  explicit Summary(const Dataset& dataset) : dataset_(dataset) {
    for (const std::string& name : dataset.classes()) {
      report_.classes.push_back({name, 0, 0, 0, 0});
    }
  }
  void add(const Look& look);
  DataReport finish();

 private:
  void add_truth(const Look& look);
  void add_box(const Look& look, const TruthBox& box);
  void add_pixels(const Look& look);
  void find_classes(const char* kind,
                    const std::string& without,
                    const std::function<bool(const ClassCount&)>& are_meant);

  const Dataset& dataset_;
  DataReport report_;
  std::vector<double> widths_, heights_, sides_, numbers_;
  std::unordered_map<std::string, std::size_t> paths_;
  std::unordered_map<std::uint64_t, std::string> contents_;
  Counter unusable_{true, "unusable_pictures", "picture cannot be used", "pictures cannot be used"};
  Counter bad_{true, "bad_boxes", "box is not made of numbers", "boxes are not made of numbers"};
  Counter outside_{
      false, "outside", "box reaches out of its picture", "boxes reach out of their pictures"};
  Counter no_mask_{false,
                   "empty_masks",
                   "mask has no pixel in its picture",
                   "masks have no pixel in their pictures"};
  Counter apart_{
      false, "masks_apart", "mask does not meet its box", "masks do not meet their boxes"};
  Counter tiny_{false, "tiny_boxes", "box is below a pixel", "boxes are below a pixel"};
  Counter repeated_{false, "repeated_boxes", "box comes twice", "boxes come twice"};
  Counter twice_{
      false, "repeated_pictures", "picture is listed twice", "pictures are listed twice"};
  Counter same_{false,
                "same_content",
                "picture has the content of another",
                "pictures have the content of others"};
  Counter turned_{false,
                  "orientation",
                  "picture has an Exif orientation, which is not applied",
                  "pictures have an Exif orientation, which is not applied"};
};

void Summary::add(const Look& look) {
  ++report_.looked_at;
  report_.paths.push_back(look.path);
  report_.content.push_back(look.content);
  if (!look.path.empty() && !paths_.emplace(look.path, 0).second) {
    twice_.add("'" + look.path + "'.");
  } else if (look.content != 0) {
    const auto [other, added] = contents_.emplace(look.content, look.name);
    if (!added) {
      same_.add("'" + look.name + "' is '" + other->second + "'.");
    }
  }
  if (!look.error.empty()) {
    unusable_.add(look.error);
    return;
  }
  if (look.width > 0) {
    widths_.push_back(static_cast<double>(look.width));
    heights_.push_back(static_cast<double>(look.height));
  }
  if (look.orientation != 1) {
    turned_.add("'" + look.name + "' (" + std::to_string(look.orientation) + ").");
  }
  add_truth(look);
  add_pixels(look);
  for (std::int64_t i = 0; i < look.masks.empty; ++i) {
    no_mask_.add("in '" + look.name + "'.");
  }
  for (std::int64_t i = 0; i < look.masks.apart; ++i) {
    apart_.add("in '" + look.name + "'.");
  }
}

void Summary::add_truth(const Look& look) {
  std::set<std::int64_t> labels;
  std::set<std::tuple<std::int64_t, double, double, double, double>> seen;
  const std::int64_t before = report_.boxes;
  for (const TruthBox& box : look.truth) {
    if (!std::isfinite(box.x + box.y + box.w + box.h)) {
      bad_.add("in '" + look.name + "'.");
      continue;
    }
    labels.insert(box.label);
    if (!seen.emplace(box.label, box.x, box.y, box.w, box.h).second) {
      repeated_.add("in '" + look.name + "'.");
    }
    add_box(look, box);
  }
  for (const std::int64_t label : labels) {
    ++report_.classes[static_cast<std::size_t>(label - 1)].pictures;
  }
  if (dataset_.things() > 0) {
    report_.pictures_without_boxes += report_.boxes == before ? 1 : 0;
    numbers_.push_back(static_cast<double>(report_.boxes - before));
  }
}

void Summary::add_box(const Look& look, const TruthBox& box) {
  ClassCount& of_class = report_.classes[static_cast<std::size_t>(box.label - 1)];
  if (box.crowd) {
    ++report_.crowds;
    ++of_class.crowds;
    return;
  }
  if (!(box.w > 0) || !(box.h > 0)) {
    ++report_.no_area;
    return;
  }
  ++report_.boxes;
  ++of_class.boxes;
  constexpr double kRounding = 1;  // px; tools differ in where they count from
  const auto width = static_cast<double>(look.width), height = static_cast<double>(look.height);
  if (width > 0 && (box.x < -kRounding || box.y < -kRounding || box.x + box.w > width + kRounding ||
                    box.y + box.h > height + kRounding)) {
    outside_.add("in '" + look.name + "'.");
  }
  if (box.w < 1 || box.h < 1) {
    tiny_.add("in '" + look.name + "'.");
  }
  const double area = box.w * box.h;
  sides_.push_back(std::sqrt(area));
  ++(area < 32 * 32 ? report_.small : area <= 96 * 96 ? report_.medium : report_.large);
}

void Summary::add_pixels(const Look& look) {
  for (std::size_t label = 1; label < look.pixels.size(); ++label) {
    ClassCount& of_class = report_.classes[label - 1];
    of_class.pixels += look.pixels[label];
    const bool stuff = static_cast<std::int64_t>(label) > dataset_.things();
    of_class.pictures += stuff && look.pixels[label] > 0 ? 1 : 0;
  }
}

/// "2 classes have no box: red, blue."
void Summary::find_classes(const char* kind,
                           const std::string& without,
                           const std::function<bool(const ClassCount&)>& are_meant) {
  std::size_t found = 0;
  std::string names;
  constexpr std::size_t kNamed = 5;
  for (std::int64_t label = 1; label <= dataset_.things(); ++label) {
    const ClassCount& of_class = report_.classes[static_cast<std::size_t>(label - 1)];
    if (are_meant(of_class)) {
      names += ++found > kNamed ? "" : (found == 1 ? "" : ", ") + of_class.name;
    }
  }
  if (found > 0) {
    report_.findings.push_back({false,
                                kind,
                                static_cast<std::int64_t>(found),
                                counted(found, "class has ", "classes have ") + without + ": " +
                                    names + (found > kNamed ? ", \u2026" : ".")});
  }
}

DataReport Summary::finish() {
  report_.pictures = dataset_.size();
  for (const Counter* counter : {&unusable_,
                                 &bad_,
                                 &outside_,
                                 &no_mask_,
                                 &apart_,
                                 &tiny_,
                                 &repeated_,
                                 &twice_,
                                 &same_,
                                 &turned_}) {
    counter->report(report_.findings);
  }
  if (report_.looked_at == report_.pictures) {
    find_classes("unused_classes", "no box", [](const ClassCount& c) {
      return c.boxes == 0 && c.crowds == 0;
    });
    find_classes(
        "crowd_classes",
        "crowd regions alone (iscrowd, difficult or group-of), which nothing is trained on",
        [](const ClassCount& c) { return c.boxes == 0 && c.crowds > 0; });
  }
  for (const std::string& warning : dataset_.warnings()) {
    report_.findings.push_back({false, "annotations", 1, warning});
  }
  report_.widths = spread_of(std::move(widths_));
  report_.heights = spread_of(std::move(heights_));
  report_.sides = spread_of(std::move(sides_));
  report_.per_picture = spread_of(std::move(numbers_));
  return std::move(report_);
}

}  // namespace

DataReport check_data(const Dataset& dataset, const DataCheckOptions& options) {
  const std::int64_t size = dataset.size();
  const std::int64_t total = options.max_pictures > 0 ? std::min(options.max_pictures, size) : size;
  std::vector<Look> looks(static_cast<std::size_t>(total));
  std::mutex reporting;
  std::int64_t done = 0;
  in_parallel(looks.size(), options.threads, [&](std::size_t i) {
    const auto index = static_cast<std::int64_t>(i) * size / std::max<std::int64_t>(total, 1);
    looks[i] = look_at(dataset, index, options.decode);
    if (options.progress) {
      const std::lock_guard lock(reporting);
      options.progress(++done, total);
    }
  });
  Summary summary(dataset);
  for (const Look& look : looks) {
    summary.add(look);
  }
  return summary.finish();
}

}  // namespace batchscope::train
