#include "engine/contract/spec_key_table.h"

namespace batchscope::contract::detail {

void add_data_keys(KeyTable& b) {
  b.add("data.kind",
        AT(data.kind),
        one_of({"synthetic-shapes", "coco", "coco-panoptic", "voc", "ade20k", "openimages"}),
        "kind of data set");
  b.add("data.annotations",
        AT(data.annotations),
        any(),
        "of the training set, relative to the spec: JSON file (coco, coco-panoptic), CSV of boxes "
        "(openimages), folder of XML files (voc) or of label PNGs (ade20k)");
  b.add("data.images", AT(data.images), any(), "folder of the training pictures");
  b.add("data.segments",
        AT(data.segments),
        any(),
        "coco-panoptic: folder of the PNGs; none: the annotations' name without .json");
  b.add("data.list",
        AT(data.list),
        any(),
        "voc, ade20k, openimages: text file of the pictures to train on, a name without ending in "
        "each line; none: all");
  b.add("data.val_annotations",
        AT(data.val_annotations),
        any(),
        "of the validation set; none with val_list: the training set's");
  b.add("data.val_images",
        AT(data.val_images),
        any(),
        "folder of the validation pictures; none, but for coco: the training set's");
  b.add("data.val_segments",
        AT(data.val_segments),
        any(),
        "coco-panoptic: folder of the validation set's PNGs, as segments");
  b.add("data.val_list", AT(data.val_list), any(), "list of the validation set");
  b.add("data.classes",
        AT(data.classes),
        any(),
        "names of the classes: a line each, or JSON with COCO categories (ade20k; none: class 1, "
        "class 2, ...); CSV of LabelName, DisplayName (openimages; none: the labels found)");
  b.add("data.hierarchy",
        AT(data.hierarchy),
        any(),
        "openimages: JSON tree of the classes; true boxes count for those above, too, in "
        "OpenImages_AP50");
  b.add("data.val_image_labels",
        AT(data.val_image_labels),
        any(),
        "openimages: CSV of the validation pictures' verified labels, for OpenImages_AP50");
  b.add("data.ignored_label",
        AT(data.ignored_label),
        within(0, 65535),
        "ade20k: value of pixels without label");
  b.add("data.size", AT(data.size), within(16, 4096), "synthetic: side of the pictures, px");
  b.add("data.seed",
        AT(data.seed),
        at_least(0),
        "synthetic: seed of the drawn pictures, apart from run.seed");
  b.add(
      "data.train_pictures", AT(data.train_pictures), at_least(1), "synthetic: training pictures");
  b.add("data.val_pictures", AT(data.val_pictures), at_least(1), "synthetic: validation pictures");
  b.add("data.max_objects",
        AT(data.max_objects),
        within(1, 1000),
        "synthetic: one to this many shapes a picture");
  b.add("data.min_object", AT(data.min_object), above(0), "synthetic: least side of a shape, px");
  b.add(
      "data.max_object", AT(data.max_object), above(0), "synthetic: greatest side of a shape, px");
  b.add("data.noise",
        AT(data.noise),
        within(0, 10),
        "synthetic: standard deviation of the noise, picture values 0 to 1");
  b.add("data.masks",
        AT(data.masks),
        any(),
        "read instance masks even where the model does not need them");
  b.add("data.min_size",
        AT(data.min_size),
        at_least(0),
        "resize the short side to this, px; 0: the model's own rule");
  b.add("data.max_size",
        AT(data.max_size),
        at_least(0),
        "bound of the long side after resizing, px; 0: none if min_size is given, else the model's "
        "own");
  b.add("data.train_min_sizes",
        AT(data.train_min_sizes),
        at_least(1),
        "training: the short side of each picture is drawn from these, px; none: min_size");
  b.add("data.flip", AT(data.flip), within(0, 1), "probability of a horizontal flip in training");
  b.add("data.skip_empty",
        AT(data.skip_empty),
        any(),
        "leave training pictures without an object out, as torchvision's and Detectron2's recipes "
        "do");
  b.add("data.max_broken",
        AT(data.max_broken),
        within(0, 1),
        "share of the pictures that may be unreadable, one at least and never all, before a run "
        "ends; 0: none");
  b.add("data.max_pictures",
        AT(data.max_pictures),
        at_least(0),
        "use only the first N training pictures; 0: all");
  b.add("data.loader_threads",
        AT(data.loader_threads),
        within(0, 256),
        "prefetch threads per rank; 0: in the training thread");
}

}  // namespace batchscope::contract::detail
