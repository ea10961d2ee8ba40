#pragma once

#include "engine/data/dataset.h"
#include "engine/metrics/coco_metrics.h"
#include "engine/metrics/label_map.h"
#include "engine/metrics/panoptic.h"
#include "engine/train/found_objects.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace batchscope::train {

/// What a rank found in one block of pictures, as it travels to rank 0: objects as they are, maps
/// as what was counted on them.
struct EvalBlock {
  std::int64_t number = 0;
  /// What the model gives, and the data set has the truth of.
  bool boxes = false, masks = false, semantic = false, panoptic = false;
  std::vector<EvalDetection> objects;
  std::vector<Rle> object_masks;  // of each object, with masks
  std::vector<LabelPair> pixels;  // of each picture, one after another
  std::map<std::int64_t, PanopticCounts> matches;
  /// Index and reason of pictures that could not be read.
  std::vector<std::pair<std::int64_t, std::string>> left_out;

  /// Adds a picture of the data set. Throws contract::DataError when truth and picture differ in
  /// size.
  void add(const Dataset& dataset, std::int64_t index, FoundObjects found);
};

/// Bytes for the other ranks of one machine or of one kind, and back.
std::string pack(const std::vector<EvalBlock>& blocks);
void unpack(const std::string& bytes, std::vector<EvalBlock>& blocks);

/// The figures of the first `pictures` pictures, from their blocks in any order: COCO's 12 of
/// boxes; of masks with "segm_" before; "OpenImages_AP50" of boxes of such a set; "mIoU"; "PQ",
/// "SQ", "RQ", each alone and with "_th" and "_st". What the model does not give is left out.
std::map<std::string, double> score_blocks(const Dataset& dataset,
                                           std::int64_t pictures,
                                           std::vector<EvalBlock> blocks);

}  // namespace batchscope::train
