#include "models/weights/weight_index.h"

#include "models/weights/pickle_index.h"
#include "models/weights/safetensors_header.h"
#include "models/weights/weight_error.h"
#include "models/weights/zip_directory.h"

#include <algorithm>

namespace batchscope::models {
namespace {

/// Views may repeat elements (strides of 0) and storages; what all tensors of a file take is
/// bounded by this many times its size, and something for small files.
constexpr std::uint64_t kTimes = 8, kSmall = 256U << 20;

bool add(std::uint64_t& sum, std::uint64_t more) {
  return !__builtin_add_overflow(sum, more, &sum);
}

void check_amount(const WeightIndex& index, const ByteSource& source) {
  std::uint64_t bytes = 0, read = 0;
  bool fits = true;
  for (const WeightEntry& entry : index.entries) {
    fits = fits && add(bytes, entry.elements() * element_size(entry.type)) &&
           add(read, entry.span_bytes());
  }
  const std::uint64_t most = source.size() * kTimes + kSmall;
  if (!fits || bytes > most || read > most) {
    refuse_file(source.origin(),
                "has " + std::to_string(source.size()) +
                    " bytes, and tensors that repeat them too often to be weights");
  }
}

}  // namespace

const char* format_name(WeightFormat format) {
  switch (format) {
    case WeightFormat::kSafetensors:
      return "safetensors";
    case WeightFormat::kPth:
      return "pth (zip)";
    case WeightFormat::kLegacyPth:
      return "pth (legacy)";
  }
  return "";
}

std::uint64_t WeightEntry::elements() const {
  std::uint64_t count = 1;
  for (const std::int64_t side : shape) {
    count *= static_cast<std::uint64_t>(side);
  }
  return count;
}

std::uint64_t WeightEntry::span_bytes() const {
  if (elements() == 0) {
    return 0;
  }
  std::uint64_t last = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    last += static_cast<std::uint64_t>(shape[i] - 1) * static_cast<std::uint64_t>(strides[i]);
  }
  return (last + 1) * element_size(type);
}

bool WeightEntry::contiguous() const {
  std::int64_t expected = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != expected) {
      return elements() == 0;
    }
    expected *= shape[i];
  }
  return true;
}

WeightIndex index_weights(const ByteSource& source, const std::string& key) {
  const std::string start = source.text(0, std::min<std::uint64_t>(source.size(), 9));
  WeightIndex index;
  // The length before a safetensors' brace may begin with any bytes. In a zip file the brace's
  // place is a record's method, in a legacy file a part of the magic number.
  const bool brace = start.size() == 9 && start[8] == '{';
  if (!brace && start.starts_with("PK")) {
    index = index_zip(source, key);
  } else if (!brace && start.starts_with("\x80")) {
    index = index_legacy(source, key);
  } else {
    index = index_safetensors(source);
    if (!key.empty()) {
      refuse_file(source.origin(),
                  "is a safetensors file, which has one set of weights and no key " + shown(key));
    }
  }
  check_amount(index, source);
  return index;
}

std::string also_holds(const std::vector<std::string>& other_sets) {
  std::string text;
  for (const std::string& set : other_sets) {
    text += (text.empty() ? "It also holds " : ", ") + printable(set);
  }
  return text.empty() ? "" : text + ": --weights-key or model.weights_key takes another.";
}

std::uint64_t storage_place(const ByteSource& source, const WeightStorage& storage) {
  if (!storage.zip_record) {
    return storage.begin;
  }
  return content_place(source, {.header = storage.begin, .bytes = storage.bytes});
}

}  // namespace batchscope::models
