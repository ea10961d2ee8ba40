#pragma once

#include "engine/data/dataset.h"

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::train {

/// What one picture gave to check_data.
struct Look {
  std::string error;       // why it cannot be used; empty: it can
  std::string path, name;  // path: empty for drawn ones
  std::int64_t width = 0, height = 0;
  int orientation = 1;        // as PictureHeader
  std::uint64_t content = 0;  // hash of the file, when decoded
  std::vector<TruthBox> truth;
  MaskFaults masks;
  std::vector<std::int64_t> pixels;  // by label
};

/// Decodes the picture and its maps as training does, or else looks at its header alone. Any
/// thread.
Look look_at(const Dataset& dataset, std::int64_t index, bool decode);

}  // namespace batchscope::train
