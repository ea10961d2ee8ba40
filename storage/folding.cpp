#include "storage/folding.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

namespace batchscope::storage {
namespace {

BlobView view_of(const std::string& blob) {
  return {blob.data(), blob.size()};
}

template <class T>
std::vector<T> slice(const std::vector<T>& from, std::size_t begin, std::size_t end) {
  return {from.begin() + static_cast<std::ptrdiff_t>(begin),
          from.begin() + static_cast<std::ptrdiff_t>(end)};
}

}  // namespace

Folding::Folding(Database& database)
    : oldest_(database,
              "SELECT seq, segment, step, images, seconds, samples FROM live_row ORDER BY seq "
              "LIMIT ?1"),
      remove_live_(database, "DELETE FROM live_row WHERE seq <= ?1"),
      newest_axis_(database,
                   "SELECT first_seq, count, rows FROM axis_chunk ORDER BY first_seq DESC LIMIT 1"),
      remove_axis_(database, "DELETE FROM axis_chunk WHERE first_seq = ?1"),
      insert_axis_(database,
                   "INSERT INTO axis_chunk (first_seq, last_seq, count, rows) "
                   "VALUES (?1, ?2, ?3, ?4)"),
      newest_chunk_(database,
                    "SELECT id, first_seq, count, offsets, samples, segment FROM series_chunk "
                    "WHERE series = ?1 ORDER BY first_seq DESC LIMIT 1"),
      remove_chunk_(database, "DELETE FROM series_chunk WHERE id = ?1"),
      insert_chunk_(database,
                    "INSERT INTO series_chunk (series, segment, first_seq, last_seq, count, "
                    "nonfinite, min, max, first, last, offsets, samples) "
                    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)") {}

void Folding::fold(std::int64_t rows) {
  AxisColumns axis;
  std::map<std::pair<std::int32_t, std::int64_t>, Column> columns;
  SampleList samples;
  oldest_.with(rows);
  while (oldest_.step()) {
    const std::int64_t seq = oldest_.integer(0);
    const std::int64_t segment = oldest_.integer(1);
    axis.seq.push_back(seq);
    axis.segment.push_back(segment);
    axis.step.push_back(oldest_.integer(2));
    axis.images.push_back(oldest_.integer(3));
    axis.seconds.push_back(oldest_.number(4));
    samples.clear();
    decode_samples(oldest_.bytes(5), samples);
    for (const auto& [series, value] : samples) {
      Column& column = columns[{series, segment}];
      if (!column.seq.empty() && column.seq.back() == seq) {
        column.value.back() = value;  // given twice in one row: the later one counts
        continue;
      }
      column.seq.push_back(seq);
      column.value.push_back(value);
    }
  }
  oldest_.reset();
  if (axis.seq.empty()) {
    return;
  }
  append_axis(axis);
  for (const auto& [key, column] : columns) {
    append_series(key.first, key.second, column);
  }
  remove_live_.with(axis.seq.back()).run();
}

void Folding::append_axis(const AxisColumns& added) {
  AxisColumns all;
  newest_axis_.with();
  if (newest_axis_.step() && newest_axis_.integer(1) < static_cast<std::int64_t>(kChunkRows)) {
    decode_axis(newest_axis_.bytes(2), newest_axis_.integer(1), all);
    remove_axis_.with(newest_axis_.integer(0)).run();
  }
  newest_axis_.reset();
  const auto append = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  append(all.seq, added.seq);
  append(all.segment, added.segment);
  append(all.step, added.step);
  append(all.images, added.images);
  append(all.seconds, added.seconds);
  for (std::size_t begin = 0; begin < all.seq.size(); begin += kChunkRows) {
    const std::size_t end = std::min(begin + kChunkRows, all.seq.size());
    const std::string blob = encode_axis({slice(all.seq, begin, end),
                                          slice(all.segment, begin, end),
                                          slice(all.step, begin, end),
                                          slice(all.images, begin, end),
                                          slice(all.seconds, begin, end)});
    insert_axis_.with(all.seq[begin], all.seq[end - 1], end - begin, view_of(blob)).run();
  }
}

void Folding::append_series(std::int32_t series, std::int64_t segment, const Column& added) {
  Column all;
  newest_chunk_.with(series);
  if (newest_chunk_.step() && newest_chunk_.integer(2) < static_cast<std::int64_t>(kChunkRows) &&
      newest_chunk_.integer(5) == segment) {
    const std::int64_t count = newest_chunk_.integer(2);
    decode_offsets(newest_chunk_.bytes(3), newest_chunk_.integer(1), count, all.seq);
    decode_values(newest_chunk_.bytes(4), count, all.value);
    remove_chunk_.with(newest_chunk_.integer(0)).run();
  }
  newest_chunk_.reset();
  all.seq.insert(all.seq.end(), added.seq.begin(), added.seq.end());
  all.value.insert(all.value.end(), added.value.begin(), added.value.end());
  for (std::size_t begin = 0; begin < all.seq.size(); begin += kChunkRows) {
    const std::size_t end = std::min(begin + kChunkRows, all.seq.size());
    store_chunk(series, segment, {slice(all.seq, begin, end), slice(all.value, begin, end)});
  }
}

void Folding::store_chunk(std::int32_t series, std::int64_t segment, const Column& column) {
  std::optional<double> low, high;
  std::int64_t nonfinite = 0;
  for (const double value : column.value) {
    if (!std::isfinite(value)) {
      ++nonfinite;
      continue;
    }
    low = std::min(low.value_or(value), value);
    high = std::max(high.value_or(value), value);
  }
  const std::string offsets = encode_offsets(column.seq);
  const std::string values = encode_values(column.value);
  const auto offsets_or_null =
      offsets.empty() ? std::nullopt : std::optional<BlobView>(view_of(offsets));
  insert_chunk_
      .with(series,
            segment,
            column.seq.front(),
            column.seq.back(),
            column.seq.size(),
            nonfinite,
            low,
            high,
            column.value.front(),
            column.value.back(),
            offsets_or_null,
            view_of(values))
      .run();
}

}  // namespace batchscope::storage
