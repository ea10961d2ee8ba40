#include "storage/columns.h"

#include "engine/contract/error.h"

#include <bit>
#include <cstring>
#include <numeric>
#include <type_traits>

namespace batchscope::storage {
namespace {

// The run file is little-endian and the blobs are copied as they lie in memory.
static_assert(std::endian::native == std::endian::little);
static_assert(std::is_trivially_copyable_v<contract::BoxRecord> &&
              sizeof(contract::BoxRecord) == 24);

constexpr std::size_t kPairBytes = sizeof(std::uint32_t) + sizeof(double);

void expect_size(std::string_view blob, std::size_t expected) {
  if (blob.size() != expected) {
    throw contract::StorageError("a run file is damaged: a block of " + std::to_string(expected) +
                                 " bytes has " + std::to_string(blob.size()));
  }
}

/// A file says how many there are: no memory is taken before that is looked at.
std::size_t chunk_rows(std::int64_t count) {
  if (count < 0 || count > static_cast<std::int64_t>(kChunkRows)) {
    throw contract::StorageError("a run file is damaged: a block of " + std::to_string(count) +
                                 " rows, expected at most " + std::to_string(kChunkRows));
  }
  return static_cast<std::size_t>(count);
}

template <class T>
void append(std::string& out, const std::vector<T>& values) {
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

template <class T>
void extract(std::string_view& blob, std::size_t count, std::vector<T>& out) {
  const std::size_t old = out.size();
  out.resize(old + count);
  if (count > 0) {
    std::memcpy(out.data() + old, blob.data(), count * sizeof(T));
  }
  blob.remove_prefix(count * sizeof(T));
}

}  // namespace

std::string encode_samples(const SampleList& samples) {
  std::string blob(samples.size() * kPairBytes, '\0');
  char* at = blob.data();
  for (const auto& [series, value] : samples) {
    const auto id = static_cast<std::uint32_t>(series);
    std::memcpy(at, &id, sizeof id);
    std::memcpy(at + sizeof id, &value, sizeof value);
    at += kPairBytes;
  }
  return blob;
}

void decode_samples(std::string_view blob, SampleList& out) {
  expect_size(blob, blob.size() / kPairBytes * kPairBytes);
  for (std::size_t at = 0; at < blob.size(); at += kPairBytes) {
    std::uint32_t id = 0;
    double value = 0;
    std::memcpy(&id, blob.data() + at, sizeof id);
    std::memcpy(&value, blob.data() + at + sizeof id, sizeof value);
    out.emplace_back(static_cast<std::int32_t>(id), value);
  }
}

bool find_sample(std::string_view blob, std::int32_t series, double& value) {
  bool found = false;
  for (std::size_t at = 0; at + kPairBytes <= blob.size(); at += kPairBytes) {
    std::uint32_t id = 0;
    std::memcpy(&id, blob.data() + at, sizeof id);
    if (static_cast<std::int32_t>(id) == series) {
      std::memcpy(&value, blob.data() + at + sizeof id, sizeof value);
      found = true;
    }
  }
  return found;
}

std::string encode_values(const std::vector<double>& values) {
  std::string blob;
  append(blob, values);
  return blob;
}

void decode_values(std::string_view blob, std::int64_t count, std::vector<double>& out) {
  const std::size_t rows = chunk_rows(count);
  expect_size(blob, rows * sizeof(double));
  extract(blob, rows, out);
}

std::string encode_offsets(const std::vector<std::int64_t>& seq) {
  std::string blob;
  if (seq.empty() || seq.back() - seq.front() + 1 == static_cast<std::int64_t>(seq.size())) {
    return blob;
  }
  std::vector<std::uint32_t> offsets;
  offsets.reserve(seq.size());
  for (const std::int64_t number : seq) {
    offsets.push_back(static_cast<std::uint32_t>(number - seq.front()));
  }
  append(blob, offsets);
  return blob;
}

void decode_offsets(std::string_view blob,
                    std::int64_t first,
                    std::int64_t count,
                    std::vector<std::int64_t>& out) {
  const std::size_t rows = chunk_rows(count);
  std::vector<std::uint32_t> offsets(rows);
  if (blob.empty()) {
    std::iota(offsets.begin(), offsets.end(), 0U);
  } else {
    expect_size(blob, rows * sizeof(std::uint32_t));
    offsets.clear();
    extract(blob, rows, offsets);
  }
  for (const std::uint32_t offset : offsets) {
    // Of a damaged file they may wrap around.
    out.push_back(static_cast<std::int64_t>(static_cast<std::uint64_t>(first) + offset));
  }
}

std::string encode_axis(const AxisColumns& axis) {
  std::string blob;
  append(blob, axis.seq);
  append(blob, axis.segment);
  append(blob, axis.step);
  append(blob, axis.images);
  append(blob, axis.seconds);
  return blob;
}

void decode_axis(std::string_view blob, std::int64_t count, AxisColumns& out) {
  const std::size_t rows = chunk_rows(count);
  expect_size(blob, rows * 5 * sizeof(std::int64_t));
  extract(blob, rows, out.seq);
  extract(blob, rows, out.segment);
  extract(blob, rows, out.step);
  extract(blob, rows, out.images);
  extract(blob, rows, out.seconds);
}

std::string encode_boxes(const std::vector<contract::BoxRecord>& boxes) {
  std::string blob;
  append(blob, boxes);
  return blob;
}

std::vector<contract::BoxRecord> decode_boxes(std::string_view blob) {
  const std::size_t count = blob.size() / sizeof(contract::BoxRecord);
  expect_size(blob, count * sizeof(contract::BoxRecord));
  std::vector<contract::BoxRecord> boxes;
  extract(blob, count, boxes);
  return boxes;
}

std::string encode_pixels(const contract::PixelRecord& pixels) {
  if (pixels.masks.empty() && pixels.labels.empty()) {
    return {};
  }
  std::vector<std::uint32_t> words = {static_cast<std::uint32_t>(pixels.masks.size())};
  for (const std::vector<std::uint32_t>& mask : pixels.masks) {
    words.push_back(static_cast<std::uint32_t>(mask.size()));
    words.insert(words.end(), mask.begin(), mask.end());
  }
  words.insert(words.end(), pixels.labels.begin(), pixels.labels.end());
  std::string blob;
  append(blob, words);
  return blob;
}

contract::PixelRecord decode_pixels(std::string_view blob) {
  contract::PixelRecord pixels;
  if (blob.empty()) {
    return pixels;
  }
  const std::size_t count = blob.size() / sizeof(std::uint32_t);
  expect_size(blob, count * sizeof(std::uint32_t));
  std::vector<std::uint32_t> words;
  extract(blob, count, words);
  const auto damaged = [] {
    throw contract::StorageError("The run file is damaged: masks longer than their column");
  };
  std::size_t at = 1;
  for (std::uint32_t mask = 0; mask < words[0]; ++mask) {
    if (at >= count || words[at] > count - at - 1) {
      damaged();
    }
    const auto begin = words.begin() + static_cast<std::ptrdiff_t>(at) + 1;
    pixels.masks.emplace_back(begin, begin + words[at]);
    at += 1 + words[at];
  }
  if ((count - at) % 2 != 0) {
    damaged();
  }
  pixels.labels.assign(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
  return pixels;
}

}  // namespace batchscope::storage
