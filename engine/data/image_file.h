#pragma once

#include <torch/types.h>

#include <cstdint>
#include <span>
#include <string>

namespace batchscope::train {

/// Decodes a JPEG or PNG picture (told by its first bytes, not by its name) to [3, H, W] uint8 RGB;
/// the storage is row by row with interleaved colours, so the tensor is not contiguous. Values are
/// those of PIL's convert("RGB"): grey is repeated, alpha is dropped without blending, palettes are
/// looked up, 16-bit values keep their high byte, CMYK is taken as Adobe writes it (inverted), no
/// gamma or colour profile is applied and the orientation tag is ignored. Throws
/// contract::DataError naming the picture: damaged, cut off, another format, more than 256 million
/// pixels. Any thread.
torch::Tensor decode_picture(std::span<const std::uint8_t> bytes, const std::string& name);

/// decode_picture of a file. Throws contract::DataError naming it also when it is missing, empty or
/// unreadable.
torch::Tensor read_picture(const std::string& path);

}  // namespace batchscope::train
