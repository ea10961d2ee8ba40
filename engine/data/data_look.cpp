#include "engine/data/data_look.h"

#include "engine/contract/error.h"
#include "engine/data/fnv.h"
#include "engine/data/picture_header.h"
#include "engine/data/picture_set.h"

namespace batchscope::train {
namespace {

std::vector<std::int64_t> count_pixels(const torch::Tensor& semantic, std::size_t classes) {
  const auto counts =
      torch::bincount(
          semantic.to(torch::kInt64).flatten(), {}, static_cast<std::int64_t>(classes) + 1)
          .contiguous();
  return {counts.data_ptr<std::int64_t>(), counts.data_ptr<std::int64_t>() + counts.numel()};
}

int orientation_of(const std::string& path) {
  try {
    return read_picture_header(path).orientation;
  } catch (const contract::DataError&) {
    return 1;  // libjpeg reads more than the header's reader does
  }
}

void look_closely(const Dataset& dataset, std::int64_t index, Look& look) {
  const Sample sample = dataset.get(index);
  look.name = sample.name;
  look.width = sample.image.size(2);
  look.height = sample.image.size(1);
  if (!look.path.empty()) {
    look.content = hash_of_file(look.path, kFnvStart);
    look.orientation = orientation_of(look.path);
  }
  if (sample.semantic.defined()) {
    look.pixels = count_pixels(sample.semantic, dataset.classes().size());
  }
}

void look_at_header(const StoredPicture& stored, Look& look) {
  const PictureHeader header = read_picture_header(stored.path);
  look.width = header.width;
  look.height = header.height;
  look.orientation = header.orientation;
  if ((stored.width > 0 && stored.width != header.width) ||
      (stored.height > 0 && stored.height != header.height)) {
    throw contract::DataError("The picture '" + stored.path + "' has " +
                              std::to_string(header.width) + "x" + std::to_string(header.height) +
                              " pixels; the annotations expect " + std::to_string(stored.width) +
                              "x" + std::to_string(stored.height) + ".");
  }
}

}  // namespace

Look look_at(const Dataset& dataset, std::int64_t index, bool decode) {
  Look look;
  const auto stored = dataset.stored(index);
  look.path = look.name = stored ? stored->path : std::string();
  try {
    if (decode) {
      look_closely(dataset, index, look);
    } else if (stored) {
      look_at_header(*stored, look);
    }
    look.truth = dataset.truth(index);
    if (look.width > 0) {
      look.masks = dataset.mask_faults(index, look.height, look.width);
    }
  } catch (const contract::DataError& error) {
    look.error = error.what();
  }
  return look;
}

}  // namespace batchscope::train
