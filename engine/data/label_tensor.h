#pragma once

#include "engine/metrics/label_map.h"

#include <torch/types.h>

#include <string>

namespace batchscope::train {

/// [H, W] int16 of labels up to 32767: Sample::semantic.
torch::Tensor label_tensor(const LabelMap& map);

/// Throws contract::DataError naming the label picture when it is not of its picture's size.
void require_size_of(const torch::Tensor& image,
                     const std::string& image_name,
                     const LabelMap& map,
                     const std::string& map_path);

}  // namespace batchscope::train
