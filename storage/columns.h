#pragma once

#include "engine/contract/records.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace batchscope::storage {

/// Rows per axis chunk, samples per series chunk.
inline constexpr std::size_t kChunkRows = 1024;

/// Samples of one series, parallel.
struct Column {
  std::vector<std::int64_t> seq;
  std::vector<double> value;
};

/// Axes of rows, parallel.
struct AxisColumns {
  std::vector<std::int64_t> seq, segment, step, images;
  std::vector<double> seconds;
};

using SampleList = std::vector<std::pair<std::int32_t, double>>;

// The blobs of schema.sql. Decoders append, and throw contract::StorageError when `count` is not
// that of a chunk, or a blob has not the size that it asks for.

std::string encode_samples(const SampleList& samples);
void decode_samples(std::string_view blob, SampleList& out);
/// The value of one series in a live row's blob; false if it was not measured there.
bool find_sample(std::string_view blob, std::int32_t series, double& value);

std::string encode_values(const std::vector<double>& values);
void decode_values(std::string_view blob, std::int64_t count, std::vector<double>& out);
/// Empty if the numbers are first, first + 1, ...
std::string encode_offsets(const std::vector<std::int64_t>& seq);
void decode_offsets(std::string_view blob,
                    std::int64_t first,
                    std::int64_t count,
                    std::vector<std::int64_t>& out);

std::string encode_axis(const AxisColumns& axis);
void decode_axis(std::string_view blob, std::int64_t count, AxisColumns& out);

std::string encode_boxes(const std::vector<contract::BoxRecord>& boxes);
std::vector<contract::BoxRecord> decode_boxes(std::string_view blob);

/// Empty if nothing is known.
std::string encode_pixels(const contract::PixelRecord& pixels);
contract::PixelRecord decode_pixels(std::string_view blob);

}  // namespace batchscope::storage
