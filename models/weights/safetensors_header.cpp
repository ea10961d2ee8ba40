#include "models/weights/safetensors_header.h"

#include "models/weights/foreign_file.h"
#include "models/weights/safetensors_parser.h"
#include "models/weights/weight_error.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <stdexcept>

namespace batchscope::models {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr const char* kMetadata = "__metadata__";
constexpr std::size_t kMostHeaderOthers = 100;

/// Sorts them in the order of the data, which they cover exactly.
void check_layout(std::vector<DescribedTensor>& found,
                  std::uint64_t data,
                  const ByteSource& source) {
  std::ranges::stable_sort(found, [](const DescribedTensor& a, const DescribedTensor& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  const std::uint64_t data_bytes = source.size() - data;
  if (!found.empty() && found.back().end > data_bytes) {
    const std::uint64_t end = found.back().end;
    refuse_file(source.origin(),
                "is truncated or damaged: tensor " + shown(found.back().entry.name) +
                    " ends at byte " + std::to_string(end > UINT64_MAX - data ? end : data + end) +
                    ", the file has " + std::to_string(source.size()));
  }
  std::uint64_t reached = 0;
  for (const DescribedTensor& one : found) {
    if (one.begin != reached) {
      refuse_file(source.origin(),
                  "is damaged: tensor " + shown(one.entry.name) + " begins at byte " +
                      std::to_string(one.begin) + " of the data, expected " +
                      std::to_string(reached) +
                      (one.begin < reached ? " (it overlaps another)" : " (there is a gap)"));
    }
    reached = one.end;
  }
  if (reached != data_bytes) {
    refuse_file(source.origin(),
                "is damaged: its tensors have " + std::to_string(reached) + " bytes, its data " +
                    std::to_string(data_bytes));
  }
}

/// A checkpoint of a run holds more than the model; the model is what others want.
void keep_model(WeightIndex& index) {
  const auto format = index.metadata.find("format");
  if (format == index.metadata.end() || !format->second.starts_with("batchscope-state-")) {
    return;
  }
  const std::string prefix = "model/";
  std::vector<WeightEntry> kept;
  std::map<std::string, int> others;
  for (WeightEntry& entry : index.entries) {
    if (entry.name.starts_with(prefix)) {
      entry.name.erase(0, prefix.size());
      kept.push_back(std::move(entry));
    } else {
      ++others[entry.name.substr(0, entry.name.find('/'))];
    }
  }
  for (const auto& [name, count] : others) {
    if (index.others.size() < kMostHeaderOthers) {
      index.others.push_back(name + ": " + std::to_string(count) + " tensors");
    }
  }
  index.entries = std::move(kept);
  index.path = "model";
  index.metadata = {*format};
}

/// The checked length of the header.
std::uint64_t header_bytes(const ByteSource& source, const HeaderLimits& limits) {
  const std::uint64_t size = source.size();
  const auto length =
      size < kLengthBytes ? 0 : little_endian<std::uint64_t>(source.text(0, kLengthBytes).data());
  if (size < kLengthBytes || length > limits.bytes) {
    const std::string kind = foreign_kind(source);
    refuse_file(source.origin(),
                !kind.empty()         ? kind
                : size < kLengthBytes ? "is neither .pth nor .safetensors: it is too short"
                                      : "is neither .pth nor .safetensors: its header would have " +
                                            std::to_string(length) + " bytes, at most " +
                                            std::to_string(limits.bytes) + " are allowed");
  }
  if (length > size - kLengthBytes) {
    refuse_file(source.origin(),
                "is truncated: its header needs " + std::to_string(kLengthBytes + length) +
                    " bytes, the file has " + std::to_string(size));
  }
  return length;
}

}  // namespace

WeightIndex index_all_safetensors(const ByteSource& source) {
  const HeaderLimits limits;
  const std::uint64_t data = kLengthBytes + header_bytes(source, limits);
  SafetensorsHeader header = parse_safetensors(source, kLengthBytes, data, limits);
  check_layout(header.tensors, data, source);
  WeightIndex index;
  index.metadata = std::move(header.metadata);
  for (DescribedTensor& one : header.tensors) {
    one.entry.storage = static_cast<std::uint32_t>(index.storages.size());
    index.storages.push_back({data + one.begin, one.end - one.begin});
    index.entries.push_back(std::move(one.entry));
  }
  return index;
}

WeightIndex index_safetensors(const ByteSource& source) {
  WeightIndex index = index_all_safetensors(source);
  keep_model(index);
  return index;
}

std::string safetensors_header(const std::vector<TensorSpec>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) {
    header[kMetadata] = metadata;
  }
  std::uint64_t place = 0;
  for (const TensorSpec& tensor : tensors) {
    const std::uint64_t end =
        place + element_count(tensor.shape, tensor.type).value() * element_size(tensor.type);
    const bool is_new = header
                            .emplace(tensor.name,
                                     json{{"dtype", type_name(tensor.type)},
                                          {"shape", tensor.shape},
                                          {"data_offsets", {place, end}}})
                            .second;
    if (!is_new) {
      throw std::invalid_argument("safetensors: tensor " + shown(tensor.name) + " stands twice");
    }
    place = end;
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  std::string bytes(kLengthBytes, '\0');
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    bytes[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  }
  return bytes + text;
}

}  // namespace batchscope::models
