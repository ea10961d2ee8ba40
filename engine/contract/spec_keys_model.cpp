#include "engine/contract/spec_key_table.h"

namespace batchscope::contract::detail {

namespace {

void add_anchor_keys(KeyTable& b) {
  b.add("model.anchors.sizes",
        AT(model.anchors.sizes),
        counted(5, at_least(1)),
        "size of each pyramid level's anchors, px of the resized picture, finest first; none: the "
        "builder's own (32 to 512; tiny_ 16 to 256, tiny_retinanet 24 to 384)");
  b.add("model.anchors.scales",
        AT(model.anchors.scales),
        above(0),
        "a level has its size times each of these; none: 1, RetinaNet 1, 2^1/3, 2^2/3");
  b.add("model.anchors.aspect_ratios",
        AT(model.anchors.aspect_ratios),
        above(0),
        "height over width, at every level; none: 0.5, 1, 2");
}

void add_rpn_keys(KeyTable& b) {
  b.add("model.rpn.pre_nms_top_n_train",
        AT(model.rpn.pre_nms_top_n_train),
        at_least(1),
        "two stages: proposals of a level before nms, in training; none: 2000, tiny_ 300");
  b.add("model.rpn.pre_nms_top_n_test",
        AT(model.rpn.pre_nms_top_n_test),
        at_least(1),
        "... when detecting; none: 1000, tiny_ 300");
  b.add("model.rpn.post_nms_top_n_train",
        AT(model.rpn.post_nms_top_n_train),
        at_least(1),
        "two stages: proposals of a picture after nms, in training; none: 2000, tiny_ 200");
  b.add("model.rpn.post_nms_top_n_test",
        AT(model.rpn.post_nms_top_n_test),
        at_least(1),
        "... when detecting; none: 1000, tiny_ 150");
  b.add("model.rpn.nms_threshold",
        AT(model.rpn.nms_threshold),
        within(0, 1),
        "overlap above which the lesser of two proposals goes; none: 0.7");
  b.add("model.rpn.score_threshold",
        AT(model.rpn.score_threshold),
        within(0, 1),
        "least probability of a proposal; none: 0");
  b.add("model.rpn.fg_iou_threshold",
        AT(model.rpn.fg_iou_threshold),
        within(0, 1),
        "overlap with a true box from which an anchor is foreground; none: 0.7");
  b.add("model.rpn.bg_iou_threshold",
        AT(model.rpn.bg_iou_threshold),
        within(0, 1),
        "overlap below which an anchor is background; none: 0.3");
  b.add("model.rpn.batch_size_per_image",
        AT(model.rpn.batch_size_per_image),
        at_least(1),
        "anchors drawn for the losses of a picture; none: 256, tiny_ 128");
  b.add("model.rpn.positive_fraction",
        AT(model.rpn.positive_fraction),
        within(0, 1),
        "most of them that may be foreground; none: 0.5");
}

void add_second_stage_keys(KeyTable& b) {
  b.add("model.box.fg_iou_threshold",
        AT(model.box.fg_iou_threshold),
        within(0, 1),
        "two stages: overlap with a true box from which a proposal is foreground; none: 0.5");
  b.add("model.box.bg_iou_threshold",
        AT(model.box.bg_iou_threshold),
        within(0, 1),
        "overlap below which a proposal is background; none: 0.5");
  b.add("model.box.batch_size_per_image",
        AT(model.box.batch_size_per_image),
        at_least(1),
        "proposals drawn for the losses of a picture; none: 512, tiny_ 64");
  b.add("model.box.positive_fraction",
        AT(model.box.positive_fraction),
        within(0, 1),
        "most of them that may be foreground; none: 0.25");
  b.add("model.box.reg_weights",
        AT(model.box.reg_weights),
        counted(4, above(0)),
        "weights of x, y, width and height in box offsets; none: 10, 10, 5, 5");
  b.add("model.box.pool_size",
        AT(model.box.pool_size),
        within(1, 64),
        "bins a side that RoIAlign makes of a region; none: 7");
  b.add("model.box.sampling_ratio",
        AT(model.box.sampling_ratio),
        within(0, 64),
        "samples of a bin a side, for boxes and masks; 0: by the region's size; none: 2");
  b.add("model.mask.pool_size",
        AT(model.mask.pool_size),
        within(1, 64),
        "bins a side of a region for the mask head, whose masks have twice as many; none: 14");
}

void add_retinanet_keys(KeyTable& b) {
  b.add("model.retinanet.fg_iou_threshold",
        AT(model.retinanet.fg_iou_threshold),
        within(0, 1),
        "RetinaNet: overlap with a true box from which an anchor is foreground; none: 0.5");
  b.add("model.retinanet.bg_iou_threshold",
        AT(model.retinanet.bg_iou_threshold),
        within(0, 1),
        "RetinaNet: overlap below which an anchor is background; none: 0.4");
  b.add("model.retinanet.topk_candidates",
        AT(model.retinanet.topk_candidates),
        at_least(1),
        "RetinaNet: detections of a level before nms; none: 1000");
}

}  // namespace

void add_model_keys(KeyTable& b) {
  b.add("model.name",
        AT(model.name),
        one_of({"lab_faster_rcnn",
                "tiny_faster_rcnn",
                "tiny_mask_rcnn",
                "tiny_retinanet",
                "tiny_semantic_fpn",
                "tiny_panoptic_fpn",
                "fasterrcnn_resnet50_fpn",
                "fasterrcnn_resnet50_fpn_v2",
                "maskrcnn_resnet50_fpn",
                "maskrcnn_resnet50_fpn_v2",
                "retinanet_resnet50_fpn",
                "retinanet_resnet50_fpn_v2",
                "semantic_fpn_resnet50",
                "panoptic_fpn_resnet50"}),
        "the detector; lab_ and tiny_: for a CPU");
  b.add("model.backbone",
        AT(model.backbone),
        any(),
        "resnet18, resnet34, resnet50, resnet101 or swin_t; empty: the builder's own");
  b.add("model.weights", AT(model.weights), any(), "weight file to start from; empty: random");
  b.add("model.weights_key",
        AT(model.weights_key),
        any(),
        "which weights of that file, where it holds several: model_ema, ema.module; empty: model, "
        "state_dict, …");
  b.add("model.norm",
        AT(model.norm),
        one_of({"gn", "frozen", "bn", "syncbn"}),
        "normalisation of the backbone (swin_t has layer norms)");
  b.add("model.norm_eps",
        AT(model.norm_eps),
        within(0, 1),
        "eps of the backbone's norms (swin_t and lab_faster_rcnn have their own); none: 1e-5, or 0 "
        "where they are frozen and model.weights is torchvision's ..._coco-*.pth (COCO_V1)");
  b.add("model.syncbn_group",
        AT(model.syncbn_group),
        at_least(0),
        "syncbn: neighbouring ranks that share batch statistics; 0: all");
  b.add("model.trainable_layers",
        AT(model.trainable_layers),
        within(0, 5),
        "backbone stages that train, from the last");
  b.add("model.image_mean",
        AT(model.image_mean),
        counted(3, any()),
        "subtracted from red, green and blue (0 to 1); none: the builder's own");
  b.add("model.image_std",
        AT(model.image_std),
        counted(3, above(0)),
        "by which they are then divided; none: the builder's own");
  b.add("model.score_threshold",
        AT(model.score_threshold),
        within(0, 1),
        "least score of a detection; none: the builder's own, 0.05");
  b.add("model.nms_threshold",
        AT(model.nms_threshold),
        within(0, 1),
        "overlap above which the lesser of two detections of a class goes; none: 0.5");
  b.add("model.max_detections",
        AT(model.max_detections),
        at_least(1),
        "most detections of a picture; none: 100, RetinaNet 300");
  b.add(
      "model.min_stuff_area",
      AT(model.min_stuff_area),
      at_least(0),
      "panoptic models: smallest region of stuff, px of the resized picture; none: 4096 where the "
      "short side is 800, in proportion elsewhere");
  add_anchor_keys(b);
  add_rpn_keys(b);
  add_second_stage_keys(b);
  add_retinanet_keys(b);
}

}  // namespace batchscope::contract::detail
