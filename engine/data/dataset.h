#pragma once

#include "engine/metrics/label_map.h"
#include "engine/metrics/panoptic.h"
#include "engine/metrics/rle.h"

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::train {

/// One picture with its truth, before any transform.
struct Sample {
  torch::Tensor image;  // [3, H, W] uint8 (decoded pictures) or float32 in 0…1 (drawn ones)
  torch::Tensor boxes;  // [N, 4] float32 x1 y1 x2 y2 px, without crowd regions and degenerate boxes
  torch::Tensor labels;    // [N] int64, 1…C
  torch::Tensor masks;     // [N, H, W] uint8, or undefined
  torch::Tensor semantic;  // [H, W] int16 as models::Target::semantic, or undefined
  std::int64_t id = 0;     // image id of the annotation file; index + 1 for drawn pictures
  std::string name;        // file name
};

/// One true object as COCO's evaluator sees it.
struct TruthBox {
  double x = 0, y = 0, w = 0, h = 0;  // px of the stored picture
  double area = 0;
  std::int64_t label = 0;  // 1…C
  bool crowd = false;
  bool unmatched = false;  // annotation id 0 of COCO, whose match its evaluator takes for none
};

/// Where a picture is kept, and the size that its annotations give (0: they do not say).
struct StoredPicture {
  std::string path;
  std::int64_t width = 0, height = 0;
};

/// The true segments of one picture as panopticapi's measure sees them; their categories are ids
/// of category_id().
struct PanopticTruth {
  LabelMap map;
  std::vector<PanopticSegment> segments;
};

/// Objects of a picture whose mask is not what their box says; crowds are not looked at.
struct MaskFaults {
  std::int64_t empty = 0;  // no pixel in the picture
  std::int64_t apart = 0;  // the pixels lie outside of the box
};

struct OpenImagesRules;

/// A set of annotated pictures. get() may be called from any thread at once, and is a function of
/// the index alone.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t size() const = 0;
  /// Throws contract::DataError naming the file (missing, unreadable, corrupt picture).
  virtual Sample get(std::int64_t index) const = 0;
  /// All true objects of a picture, crowds included; no picture is decoded.
  virtual std::vector<TruthBox> truth(std::int64_t index) const = 0;
  /// Masks of truth(), in its order, of the stored picture's size; nothing where the set has none.
  virtual std::optional<std::vector<Rle>> truth_masks(std::int64_t /*index*/) const { return {}; }
  /// Of the masks of a picture of that size; no picture is decoded. Throws contract::DataError for
  /// a mask that cannot be.
  virtual MaskFaults mask_faults(std::int64_t /*index*/,
                                 std::int64_t /*height*/,
                                 std::int64_t /*width*/) const {
    return {};
  }
  /// Labels 0…C of every pixel of the stored picture, 0 not labelled; nothing where the set has
  /// none.
  virtual std::optional<LabelMap> semantic_truth(std::int64_t /*index*/) const { return {}; }
  /// Nothing where the set has none.
  virtual std::optional<PanopticTruth> panoptic_truth(std::int64_t /*index*/) const { return {}; }
  /// What Open Images' own figure needs beside truth(), whose crowds are then group-of boxes;
  /// nullptr: the set is not measured by it.
  virtual const OpenImagesRules* openimages() const { return nullptr; }
  virtual std::int64_t image_id(std::int64_t index) const = 0;
  /// Nothing for drawn pictures.
  virtual std::optional<StoredPicture> stored(std::int64_t /*index*/) const { return {}; }
  /// Class names, index 0 = label 1; category_id(label) is the id of the annotation file.
  virtual const std::vector<std::string>& classes() const = 0;
  virtual std::int64_t category_id(std::int64_t label) const = 0;
  /// Labels 1…things() have boxes; those after them, up to C, are stuff: pixels only.
  virtual std::int64_t things() const { return static_cast<std::int64_t>(classes().size()); }
  /// Hex digest of annotations and picture list; empty for drawn data.
  virtual std::string checksum() const = 0;
  /// One sentence each: boxes without area dropped, pictures without boxes, …
  virtual std::vector<std::string> warnings() const { return {}; }
};

}  // namespace batchscope::train
