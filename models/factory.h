#pragma once

#include "models/detector.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::models {

// What a caller changes of a builder's own options; empty or none: the builder's. Names and
// meanings are those of torchvision's builders.

/// Of the anchors: sizes of the pyramid's levels in px, finest first (a level has its size times
/// each of the scales, cut to whole pixels), and height over width, the same at every level.
struct AnchorChanges {
  std::vector<std::int64_t> sizes;
  std::vector<double> scales, aspect_ratios;
  bool operator==(const AnchorChanges&) const = default;
};

/// Of the first stage of models in two stages.
struct RpnChanges {
  std::optional<std::int64_t> pre_nms_top_n_train, pre_nms_top_n_test;    // of each level
  std::optional<std::int64_t> post_nms_top_n_train, post_nms_top_n_test;  // of a picture
  std::optional<double> nms_threshold, score_threshold;
  std::optional<double> fg_iou_threshold, bg_iou_threshold;
  std::optional<std::int64_t> batch_size_per_image;
  std::optional<double> positive_fraction;
  bool operator==(const RpnChanges&) const = default;
};

/// Of their second stage.
struct BoxChanges {
  std::optional<double> fg_iou_threshold, bg_iou_threshold;
  std::optional<std::int64_t> batch_size_per_image;
  std::optional<double> positive_fraction;
  std::vector<double> reg_weights;  // four: x, y, width, height
  std::optional<std::int64_t> pool_size, sampling_ratio;
  bool operator==(const BoxChanges&) const = default;
};

struct RetinaNetChanges {
  std::optional<double> fg_iou_threshold, bg_iou_threshold;
  std::optional<std::int64_t> topk_candidates;  // of each level
  bool operator==(const RetinaNetChanges&) const = default;
};

struct ModelOptions {
  std::string name = "lab_faster_rcnn";
  std::string backbone;                // resnet18, 34, 50, 101, swin_t; empty: the builder's
  std::string norm = "gn";             // of a ResNet: gn, frozen, bn, syncbn
  double norm_eps = 1e-5;              // 0 for torchvision's COCO_V1 weights with frozen norms
  std::int64_t num_classes = 3;        // things, without background
  std::int64_t stuff_classes = 0;      // classes that have pixels and no boxes
  std::int64_t trainable_layers = -1;  // -1: the builder's default
  bool pretrained = false;             // weights follow: the default is 3 layers, not all 5
  // Overrides of the builder's; 0: its own, but no bound of the long side where min_size is given.
  std::int64_t min_size = 0, max_size = 0;
  std::vector<double> image_mean, image_std;  // three each; empty: the builder's
  // What is kept when detecting; none: the builder's own. Of detectors of boxes:
  std::optional<double> score_threshold, nms_threshold;
  std::optional<std::int64_t> max_detections;
  // Of panoptic models: smallest region of stuff, px of the resized picture.
  std::optional<std::int64_t> min_stuff_area;
  AnchorChanges anchors;
  RpnChanges rpn;
  BoxChanges box;
  std::optional<std::int64_t> mask_pool_size;
  RetinaNetChanges retinanet;
  std::uint64_t seed = 0;  // of the initial weights
};

/// Builds a detector with freshly initialised weights (a function of the seed alone). Throws
/// std::invalid_argument for an unknown name (listing the known ones), an option that the model
/// does not have, or a value that it cannot have; the sentence names the key of a spec's [model].
std::shared_ptr<Detector> make_detector(const ModelOptions& options);
std::vector<std::string> detector_names();

/// What the targets of a model have to hold.
struct TargetNeeds {
  bool boxes = true, masks = false, semantic = false;
};
/// Of a name of detector_names(); boxes alone for another name.
TargetNeeds target_needs(const std::string& name);

}  // namespace batchscope::models
