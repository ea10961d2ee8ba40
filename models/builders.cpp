#include "models/builders.h"

#include "models/batch_checks.h"
#include "models/builder_changes.h"

#include <cmath>
#include <stdexcept>

namespace batchscope::models {
namespace {

constexpr std::int64_t kPretrainedLayers = 3;
constexpr std::int64_t kSide = 800, kLongSide = 1333;  // of pictures, px: the builders' own

NormOptions body_norm(const ModelOptions& o) {
  return {.kind = parse_norm(o.norm), .eps = o.norm_eps};
}

/// The norms that a frozen body does not freeze.
NormOptions pyramid_norm(const ModelOptions& o) {
  const Norm body = parse_norm(o.norm);
  return {.kind = body == Norm::kFrozen ? Norm::kBatch : body};
}

/// Statistics of a head stay its rank's: it may see no region at all, and be left out of a pass.
NormOptions head_norm(const ModelOptions& o) {
  return {.kind = parse_norm(o.norm) == Norm::kGroup ? Norm::kGroup : Norm::kBatch};
}

InputTransform input(const ModelOptions& o,
                     std::int64_t min_size,
                     std::int64_t max_size,
                     bool antialias = false) {
  const std::vector<double> mean = {0.485, 0.456, 0.406}, std = {0.229, 0.224, 0.225};
  return {.mean = o.image_mean.empty() ? mean : o.image_mean,
          .std = o.image_std.empty() ? std : o.image_std,
          .min_size = o.min_size > 0 ? o.min_size : min_size,
          .max_size = o.max_size > 0 || o.min_size > 0 ? o.max_size : max_size,
          .size_divisor = 32,
          .antialias = antialias};
}

InputTransform tiny_input(const ModelOptions& o) {
  return input(o, 240, 320, /*antialias=*/true);
}

FpnBackboneOptions named_backbone(const ModelOptions& o) {
  FpnBackboneOptions backbone;
  backbone.body = body_options(o.backbone.empty() ? "resnet50" : o.backbone, body_norm(o));
  const std::int64_t trained = o.pretrained ? kPretrainedLayers : 5;
  backbone.trainable_layers = o.trainable_layers >= 0 ? o.trainable_layers : trained;
  return backbone;
}

FpnBackboneOptions tiny_backbone(const ModelOptions& o) {
  if (!o.backbone.empty()) {
    throw std::invalid_argument(o.name +
                                ": it has its own backbone; leave model.backbone empty, found \"" +
                                o.backbone + "\"");
  }
  FpnBackboneOptions backbone;
  backbone.body = ResNetOptions{
      .widths = {32, 64, 96, 128}, .blocks = {1, 1, 1, 1}, .classifier = 0, .norm = body_norm(o)};
  backbone.fpn.channels = 64;
  backbone.trainable_layers = o.trainable_layers >= 0 ? o.trainable_layers : 5;
  return backbone;
}

AnchorOptions region_anchors(const ModelOptions& o, std::int64_t finest) {
  return pyramid_anchors(o.anchors, finest, {1.0});
}

/// A third of an octave apart.
AnchorOptions dense_anchors(const ModelOptions& o, std::int64_t finest) {
  return pyramid_anchors(o.anchors, finest, {1.0, std::pow(2.0, 1.0 / 3), std::pow(2.0, 2.0 / 3)});
}

SemanticFpnOptions semantic_fpn(const ModelOptions& options) {
  check_pixel_classes(options, /*panoptic=*/false);
  SemanticFpnOptions o;
  o.name = options.name;
  o.head.num_classes = options.num_classes + options.stuff_classes;
  o.input = input(options, kSide, kLongSide);
  o.seed = options.seed;
  return o;
}

PanopticFpnOptions panoptic_fpn(const ModelOptions& options, FasterRcnnOptions instances) {
  check_pixel_classes(options, /*panoptic=*/true);
  PanopticFpnOptions o;
  const std::int64_t side = instances.input.min_size;
  o.merge.min_stuff_area =
      options.min_stuff_area.value_or(o.merge.min_stuff_area * side * side / (kSide * kSide));
  o.instances = std::move(instances);
  o.semantic.num_classes = options.stuff_classes + 1;
  o.semantic.labels_of_class_0 = options.num_classes;
  o.semantic.loss_weight = 0.5;
  return o;
}

}  // namespace

FasterRcnnOptions faster_rcnn_options(const ModelOptions& options,
                                      HeadVersion version,
                                      bool masks) {
  check_classes(options);
  FasterRcnnOptions o;
  o.name = options.name;
  o.backbone = named_backbone(options);
  o.rpn.anchors = region_anchors(options, 32);
  o.roi_heads.num_classes = options.num_classes + 1;
  if (masks) {
    o.roi_heads.mask_head.emplace();
  }
  if (version == HeadVersion::kV2) {
    const NormOptions norm = head_norm(options);
    o.backbone.fpn.norm = pyramid_norm(options);
    o.rpn.conv_depth = 2;
    o.roi_heads.box_head = {.convolutions = 4, .norm = norm};
    if (masks) {
      o.roi_heads.mask_head->norm = norm;
    }
  }
  o.input = input(options, kSide, kLongSide);
  o.seed = options.seed;
  change(o, options);
  return o;
}

RetinaNetOptions retinanet_options(const ModelOptions& options, HeadVersion version) {
  check_classes(options);
  const bool v2 = version == HeadVersion::kV2;
  RetinaNetOptions o;
  o.name = options.name;
  o.backbone = named_backbone(options);
  o.backbone.first_map = 1;  // the finest level would have too many anchors
  o.backbone.fpn.top = v2 ? TopLevels::kP6P7FromMap : TopLevels::kP6P7FromLevel;
  o.anchors = dense_anchors(options, 32);
  o.head.num_classes = options.num_classes + 1;
  if (v2) {
    o.head.norm = NormOptions{.kind = Norm::kGroup};
    o.box_loss = BoxLoss::kGiou;
  }
  o.input = input(options, kSide, kLongSide);
  o.seed = options.seed;
  change(o, options);
  return o;
}

FasterRcnnOptions tiny_faster_rcnn_options(const ModelOptions& options) {
  check_classes(options);
  FasterRcnnOptions o;
  o.name = options.name;
  o.backbone = tiny_backbone(options);
  o.rpn.anchors = region_anchors(options, 16);
  o.rpn.sampler.per_picture = 128;
  o.rpn.training = {300, 200};
  o.rpn.inference = {300, 150};
  o.roi_heads.num_classes = options.num_classes + 1;
  o.roi_heads.box_head.hidden = 128;
  o.roi_heads.pool.canonical_scale = 112;
  o.roi_heads.sampler.per_picture = 64;
  o.input = tiny_input(options);
  o.seed = options.seed;
  change(o, options);
  return o;
}

FasterRcnnOptions tiny_mask_rcnn_options(const ModelOptions& options) {
  FasterRcnnOptions o = tiny_faster_rcnn_options(options);
  o.roi_heads.mask_head = MaskHeadOptions{.channels = 64, .convolutions = 2};
  change(o, options);
  return o;
}

RetinaNetOptions tiny_retinanet_options(const ModelOptions& options) {
  check_classes(options);
  RetinaNetOptions o;
  o.name = options.name;
  o.backbone = tiny_backbone(options);
  o.backbone.first_map = 1;
  o.backbone.fpn.top = TopLevels::kP6P7FromLevel;
  o.anchors = dense_anchors(options, 24);
  o.head.channels = o.backbone.fpn.channels;
  o.head.num_classes = options.num_classes + 1;
  o.input = tiny_input(options);
  o.seed = options.seed;
  change(o, options);
  return o;
}

SemanticFpnOptions semantic_fpn_options(const ModelOptions& options) {
  SemanticFpnOptions o = semantic_fpn(options);
  o.backbone = named_backbone(options);
  return o;
}

PanopticFpnOptions panoptic_fpn_options(const ModelOptions& options) {
  return panoptic_fpn(options, faster_rcnn_options(options, HeadVersion::kV1, /*masks=*/true));
}

SemanticFpnOptions tiny_semantic_fpn_options(const ModelOptions& options) {
  SemanticFpnOptions o = semantic_fpn(options);
  o.backbone = tiny_backbone(options);
  o.head.channels = o.backbone.fpn.channels;
  o.input = tiny_input(options);
  return o;
}

PanopticFpnOptions tiny_panoptic_fpn_options(const ModelOptions& options) {
  PanopticFpnOptions o = panoptic_fpn(options, tiny_mask_rcnn_options(options));
  o.semantic.channels = o.instances.backbone.fpn.channels;
  return o;
}

}  // namespace batchscope::models
