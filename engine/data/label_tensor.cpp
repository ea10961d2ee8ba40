#include "engine/data/label_tensor.h"

#include "engine/contract/error.h"

#include <algorithm>

namespace batchscope::train {

torch::Tensor label_tensor(const LabelMap& map) {
  torch::Tensor tensor = torch::empty({map.height, map.width}, torch::kInt16);
  std::transform(map.labels.begin(),
                 map.labels.end(),
                 tensor.data_ptr<std::int16_t>(),
                 [](std::uint32_t label) { return static_cast<std::int16_t>(label); });
  return tensor;
}

void require_size_of(const torch::Tensor& image,
                     const std::string& image_name,
                     const LabelMap& map,
                     const std::string& map_path) {
  if (image.size(1) != map.height || image.size(2) != map.width) {
    throw contract::DataError(
        "The label picture '" + map_path + "' has " + std::to_string(map.width) + "x" +
        std::to_string(map.height) + " pixels; its picture '" + image_name + "' has " +
        std::to_string(image.size(2)) + "x" + std::to_string(image.size(1)) + ".");
  }
}

}  // namespace batchscope::train
