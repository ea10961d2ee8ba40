#pragma once

#include "engine/train/found_objects.h"

#include <torch/types.h>

#include <functional>
#include <string>

namespace batchscope::train {

struct DrawOptions {
  double score_threshold = 0.5;  // objects below it are not drawn
  /// What stands at a box of a category.
  std::function<std::string(std::int64_t)> name_of;
};

/// The picture with what was found in it: labels of pixels and masks as transparent colours, boxes
/// with name and score; a PNG file. image: [3, H, W] uint8, found: in its pixels. A category has
/// one colour in all pictures. Throws contract::DataError for a side above 32767 px,
/// contract::StorageError; both name the file.
void draw_objects(const torch::Tensor& image,
                  const FoundObjects& found,
                  const DrawOptions& options,
                  const std::string& file);

}  // namespace batchscope::train
