#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::train {

/// One <object>. Corners as the file has them: pixels counted from 1, the last one included.
struct VocObject {
  std::string name;
  double xmin = 0, ymin = 0, xmax = 0, ymax = 0;
  bool difficult = false;
};

struct VocAnnotation {
  std::string filename;                // empty: not said
  std::int64_t width = 0, height = 0;  // 0: not said
  std::vector<VocObject> objects;
};

/// Reads a Pascal VOC file: <annotation> with filename, size and objects; everything else,
/// <part> within an object included, is skipped. Throws contract::DataError naming the file, the
/// line and column and the element: no such file, not XML, another root, an object without name or
/// box, a number that is none.
VocAnnotation read_voc_annotation(const std::string& path);

}  // namespace batchscope::train
