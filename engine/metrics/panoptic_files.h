#pragma once

#include "engine/metrics/panoptic.h"

#include <array>

namespace batchscope::train {

struct PanopticPicture {
  std::int64_t image = 0;
  std::string file_name;
  std::vector<PanopticSegment> segments;
  std::vector<std::array<double, 4>> boxes;  // x y w h of each; w < 0 where the file does not say
};
/// The picture that was annotated.
struct PanopticImage {
  std::int64_t id = 0;
  std::string file_name;
  std::int64_t width = 0, height = 0;  // 0: not said
};

/// A COCO panoptic file: what is in the pictures of a folder of its own.
struct PanopticFile {
  std::string path;
  std::vector<PanopticPicture> pictures;
  std::vector<PanopticCategory> categories;  // empty where the file has none
  std::vector<PanopticImage> images;         // only of read_panoptic_annotations
};

/// The folder of a panoptic file's PNGs: `given`, or where that is empty the file's name without
/// ".json" at its end, as panopticapi has it.
std::string panoptic_folder(const std::string& given, const std::string& file);

/// Reads "annotations" (image_id, file_name, segments_info: id, category_id, area, iscrowd) and
/// "categories" (id, name, isthing). Throws contract::DataError naming the file, the entry, the
/// field and the place; also for a picture, a category, or an id within a picture that comes twice.
PanopticFile read_panoptic_file(const std::string& path);
/// Reads also "images" (id, file_name; width, height) and the segments' bbox.
PanopticFile read_panoptic_annotations(const std::string& path);

/// The categories of a file that is such a list, or an object with a list "categories": any COCO
/// file.
std::vector<PanopticCategory> read_categories(const std::string& path);

/// Counts the matches of every picture of the truth. Throws contract::DataError: no prediction for
/// a picture, a segment of an unknown category, a missing or damaged PNG, sizes that differ, labels
/// without segment and segments without label. The counts do not depend on the threads.
PanopticTotals compare_panoptic(const PanopticFile& truth,
                                const std::string& truth_folder,
                                const PanopticFile& found,
                                const std::string& found_folder,
                                unsigned threads);

}  // namespace batchscope::train
