#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::models {

/// The element types of weight files.
enum class TensorType : std::uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kI64,
  kI32,
  kI16,
  kI8,
  kU8,
  kBool,
  kU16,
  kU32,
  kU64,
  kF8E4M3,
  kF8E5M2,
  kC64,
};
inline constexpr std::size_t kTensorTypes = 16;

/// In bytes.
std::uint64_t element_size(TensorType type);
/// As safetensors names it: "F32", "BOOL", …; and back.
const char* type_name(TensorType type);
std::optional<TensorType> type_of_name(const std::string& name);
/// All of them: "F64, F32, … and C64".
std::string type_names();
/// As Python's pickles name its storages ("FloatStorage") or itself ("float32"), without "torch.".
std::optional<TensorType> type_of_python(const std::string& name);
/// "FloatStorage", …; nullptr for a type whose tensors Python keeps in untyped storages.
const char* storage_class(TensorType type);
/// "float32", …
const char* python_name(TensorType type);

/// Product of the sides; nullopt if it, or the bytes that it takes, cannot be counted in 63 bits. A
/// side of 0 does not excuse the others.
std::optional<std::uint64_t> element_count(const std::vector<std::int64_t>& shape, TensorType type);
/// Of a dense tensor, the last side closest; a side of 0 counts as 1, as in torch.
std::vector<std::int64_t> contiguous_strides(const std::vector<std::int64_t>& shape);
/// "[64, 3, 7, 7]".
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace batchscope::models
