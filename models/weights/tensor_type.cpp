#include "models/weights/tensor_type.h"

#include <algorithm>
#include <array>
#include <limits>

namespace batchscope::models {
namespace {

struct Row {
  const char* name;
  std::uint64_t size;
  const char* storage;  // nullptr: none of its own
  const char* python;
};

// In the order of TensorType.
constexpr std::array<Row, kTensorTypes> kRows = {{{"F64", 8, "DoubleStorage", "float64"},
                                                  {"F32", 4, "FloatStorage", "float32"},
                                                  {"F16", 2, "HalfStorage", "float16"},
                                                  {"BF16", 2, "BFloat16Storage", "bfloat16"},
                                                  {"I64", 8, "LongStorage", "int64"},
                                                  {"I32", 4, "IntStorage", "int32"},
                                                  {"I16", 2, "ShortStorage", "int16"},
                                                  {"I8", 1, "CharStorage", "int8"},
                                                  {"U8", 1, "ByteStorage", "uint8"},
                                                  {"BOOL", 1, "BoolStorage", "bool"},
                                                  {"U16", 2, nullptr, "uint16"},
                                                  {"U32", 4, nullptr, "uint32"},
                                                  {"U64", 8, nullptr, "uint64"},
                                                  {"F8_E4M3", 1, nullptr, "float8_e4m3fn"},
                                                  {"F8_E5M2", 1, nullptr, "float8_e5m2"},
                                                  {"C64", 8, "ComplexFloatStorage", "complex64"}}};

const Row& row(TensorType type) {
  return kRows[static_cast<std::size_t>(type)];
}

template <class Matches>
std::optional<TensorType> find(const Matches& matches) {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (matches(kRows[i])) {
      return static_cast<TensorType>(i);
    }
  }
  return std::nullopt;
}

}  // namespace

std::uint64_t element_size(TensorType type) {
  return row(type).size;
}

const char* type_name(TensorType type) {
  return row(type).name;
}

std::optional<TensorType> type_of_name(const std::string& name) {
  return find([&](const Row& r) { return name == r.name; });
}

std::string type_names() {
  std::string names;
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    names += i == 0 ? "" : i + 1 < kRows.size() ? ", " : " and ";
    names += kRows[i].name;
  }
  return names;
}

std::optional<TensorType> type_of_python(const std::string& name) {
  return find([&](const Row& r) {
    return name == r.python || (r.storage != nullptr && name == r.storage);
  });
}

const char* storage_class(TensorType type) {
  return row(type).storage;
}

const char* python_name(TensorType type) {
  return row(type).python;
}

std::optional<std::uint64_t> element_count(const std::vector<std::int64_t>& shape,
                                           TensorType type) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t bytes = element_size(type);
  bool over = false, empty = false;
  for (const std::int64_t side : shape) {
    over = over || side < 0;
    // Strides are products too, so a side of 0 counts as 1.
    const auto factor = static_cast<std::uint64_t>(std::max<std::int64_t>(side, 1));
    empty = empty || side == 0;
    over = over || __builtin_mul_overflow(bytes, factor, &bytes);
  }
  if (over || bytes > kMost) {
    return std::nullopt;
  }
  return empty ? 0 : bytes / element_size(type);
}

std::vector<std::int64_t> contiguous_strides(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) {
    strides[i - 1] = strides[i] * std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t side : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(side);
  }
  return text + "]";
}

}  // namespace batchscope::models
