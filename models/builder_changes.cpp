#include "models/builder_changes.h"

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace batchscope::models {
namespace {

constexpr std::size_t kLevels = 5;

template <typename T>
void set(T& value, const std::optional<T>& other) {
  value = other.value_or(value);
}

template <typename T>
std::vector<T> given(const std::vector<T>& values, std::vector<T> builders) {
  return values.empty() ? std::move(builders) : values;
}

/// section: of the two thresholds in a spec.
void set(MatcherOptions& matcher,
         const std::optional<double>& fg,
         const std::optional<double>& bg,
         const std::string& section) {
  set(matcher.high, fg);
  set(matcher.low, bg);
  if (matcher.low > matcher.high) {
    std::ostringstream sentence;
    sentence << section << ".bg_iou_threshold: expected at most fg_iou_threshold (" << matcher.high
             << "), found " << matcher.low;
    throw std::invalid_argument(sentence.str());
  }
}

void set_rpn(RpnOptions& rpn, const RpnChanges& c) {
  set(rpn.training.before, c.pre_nms_top_n_train);
  set(rpn.training.after, c.post_nms_top_n_train);
  set(rpn.inference.before, c.pre_nms_top_n_test);
  set(rpn.inference.after, c.post_nms_top_n_test);
  set(rpn.nms_threshold, c.nms_threshold);
  set(rpn.score_threshold, c.score_threshold);
  set(rpn.matcher, c.fg_iou_threshold, c.bg_iou_threshold, "model.rpn");
  set(rpn.sampler.per_picture, c.batch_size_per_image);
  set(rpn.sampler.positive_fraction, c.positive_fraction);
}

void set_box(RoiHeadsOptions& heads, const BoxChanges& c) {
  set(heads.matcher, c.fg_iou_threshold, c.bg_iou_threshold, "model.box");
  set(heads.sampler.per_picture, c.batch_size_per_image);
  set(heads.sampler.positive_fraction, c.positive_fraction);
  set(heads.pool.size, c.pool_size);
  set(heads.pool.sampling_ratio, c.sampling_ratio);
  if (c.reg_weights.empty()) {
    return;
  }
  if (c.reg_weights.size() != heads.box_weights.size()) {
    throw std::invalid_argument(
        "model.box.reg_weights: expected four, of x, y, width and height, found " +
        std::to_string(c.reg_weights.size()));
  }
  std::copy(c.reg_weights.begin(), c.reg_weights.end(), heads.box_weights.begin());
}

/// Options: RoiHeadsOptions or RetinaNetOptions.
template <typename Options>
void set_limits(Options& heads, const ModelOptions& o) {
  set(heads.score_threshold, o.score_threshold);
  set(heads.nms_threshold, o.nms_threshold);
  set(heads.max_detections, o.max_detections);
}

}  // namespace

AnchorOptions pyramid_anchors(const AnchorChanges& changes,
                              std::int64_t finest,
                              const std::vector<double>& scales) {
  const std::vector<std::int64_t> sizes =
      given(changes.sizes, {finest, finest << 1, finest << 2, finest << 3, finest << 4});
  if (sizes.size() != kLevels) {
    throw std::invalid_argument(
        "model.anchors.sizes: expected a size for each of the 5 levels of the pyramid, found " +
        std::to_string(sizes.size()));
  }
  AnchorOptions anchors;
  for (const std::int64_t size : sizes) {
    auto& of_level = anchors.sizes.emplace_back();
    for (const double scale : given(changes.scales, scales)) {
      of_level.push_back(static_cast<std::int64_t>(static_cast<double>(size) * scale));
      if (of_level.back() < 1) {
        throw std::invalid_argument(
            "model.anchors.scales: expected anchors of 1 px at least, found " +
            std::to_string(size) + " px times " + std::to_string(scale));
      }
    }
  }
  anchors.aspect_ratios.assign(kLevels, given(changes.aspect_ratios, {0.5, 1.0, 2.0}));
  return anchors;
}

void change(FasterRcnnOptions& own, const ModelOptions& options) {
  set_rpn(own.rpn, options.rpn);
  set_box(own.roi_heads, options.box);
  set_limits(own.roi_heads, options);
  if (own.roi_heads.mask_head) {
    set(own.roi_heads.mask_head->pool_size, options.mask_pool_size);
  }
}

void change(RetinaNetOptions& own, const ModelOptions& options) {
  const RetinaNetChanges& c = options.retinanet;
  set(own.matcher, c.fg_iou_threshold, c.bg_iou_threshold, "model.retinanet");
  set(own.candidates, c.topk_candidates);
  set_limits(own, options);
}

void check_changes(const ModelOptions& o, ModelKind kind, const TargetNeeds& needs) {
  const auto refuse = [&o](bool changed, const char* keys, const char* owners) {
    if (changed) {
      throw std::invalid_argument(std::string(keys) + ": only " + owners +
                                  " have it; leave it out for " + o.name);
    }
  };
  const bool two_stages = kind == ModelKind::kTwoStages;
  const bool pyramid_boxes = two_stages || kind == ModelKind::kOneStage;
  const char* boxes = "models that find boxes, lab_faster_rcnn aside,";
  refuse(o.score_threshold && !pyramid_boxes, "model.score_threshold", boxes);
  refuse(o.nms_threshold && !pyramid_boxes, "model.nms_threshold", boxes);
  refuse(o.max_detections && !pyramid_boxes, "model.max_detections", boxes);
  refuse(o.anchors != AnchorChanges{} && !pyramid_boxes, "model.anchors", boxes);
  const char* regions = "models in two stages (Faster R-CNN, Mask R-CNN, Panoptic FPN)";
  refuse(o.rpn != RpnChanges{} && !two_stages, "model.rpn", regions);
  refuse(o.box != BoxChanges{} && !two_stages, "model.box", regions);
  refuse(o.mask_pool_size && !needs.masks, "model.mask.pool_size", "models with masks");
  refuse(o.retinanet != RetinaNetChanges{} && kind != ModelKind::kOneStage,
         "model.retinanet",
         "RetinaNet models");
  refuse(o.min_stuff_area && !(needs.boxes && needs.semantic),
         "model.min_stuff_area",
         "panoptic models");
}

}  // namespace batchscope::models
