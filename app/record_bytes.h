#pragma once

#include "engine/contract/records.h"

#include <cstddef>

/// Memory that a record takes, with what it points to: what a queue of records is bounded by.
namespace batchscope::app {

inline std::size_t bytes_of(const std::vector<contract::BoxRecord>& boxes) {
  return boxes.size() * sizeof(contract::BoxRecord);
}

inline std::size_t bytes_of(const contract::PixelRecord& pixels) {
  std::size_t numbers = pixels.labels.size();
  for (const std::vector<std::uint32_t>& mask : pixels.masks) {
    numbers += mask.size();
  }
  return numbers * sizeof(std::uint32_t) + pixels.masks.size() * sizeof(std::vector<std::uint32_t>);
}

inline std::size_t bytes_of(const contract::StepRecord& record) {
  return sizeof record + record.values.size() * sizeof(record.values[0]);
}

inline std::size_t bytes_of(const contract::EventRecord& record) {
  std::size_t bytes = sizeof record + record.text.size();
  for (const auto& [key, value] : record.args) {
    bytes += 2 * sizeof(std::string) + key.size() + value.size();
  }
  return bytes;
}

inline std::size_t bytes_of(const contract::ProbeRecord& record) {
  return sizeof record + record.name.size() + record.png.size() + bytes_of(record.truth) +
         bytes_of(record.pixels);
}

inline std::size_t bytes_of(const contract::PredictionRecord& record) {
  return sizeof record + bytes_of(record.boxes) + bytes_of(record.pixels);
}

}  // namespace batchscope::app
