#include "engine/train/state_file.h"

#include "engine/contract/error.h"
#include "models/weights/file_writer.h"
#include "models/weights/safetensors_header.h"
#include "models/weights/safetensors_parser.h"
#include "models/weights/tensor_file.h"
#include "models/weights/weight_error.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace batchscope::train {
namespace {

using contract::DataError;
using contract::StorageError;
using nlohmann::json;

constexpr const char* kFormat = "batchscope-state-1";
constexpr std::string_view kNoChecksum = "0000000000000000";
constexpr std::string_view kChecksumKey = "\"checksum\":\"";
constexpr std::uint64_t kLengthBytes = 8;

/// A 64-bit mix of eight bytes at a time: fast enough to be no part of a checkpoint's cost, and any
/// single changed byte changes it. Of `bytes` with zeros in the place of the checksum itself.
std::string checksum(const std::string& bytes, std::size_t place) {
  std::uint64_t hash = 0x9e3779b97f4a7c15ULL ^ bytes.size();
  const std::size_t end = place + kNoChecksum.size();
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    std::uint64_t word = 0;
    const std::size_t taken = std::min<std::size_t>(8, bytes.size() - at);
    std::memcpy(&word, bytes.data() + at, taken);
    for (std::size_t i = std::max(at, place); i < std::min(at + taken, end); ++i) {
      reinterpret_cast<char*>(&word)[i - at] = '0';
    }
    hash = std::rotl(hash ^ word, 27) * 0xff51afd7ed558ccdULL + 0x52dce729ULL;
  }
  std::ostringstream text;
  text << std::hex << hash;
  const std::string digits = text.str();
  return std::string(kNoChecksum.size() - digits.size(), '0') + digits;
}

std::string with_length(const std::string& header) {
  const auto length = static_cast<std::uint64_t>(header.size());
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &length, kLengthBytes);
  return bytes + header;
}

/// Where the checksum's digits stand; npos: nowhere. The metadata come first: encode_state() sorts.
std::size_t checksum_place(const std::string& bytes, const std::string& digits) {
  const std::size_t key = bytes.find(std::string(kChecksumKey) + digits + "\"", kLengthBytes);
  return key == std::string::npos || digits.size() != kNoChecksum.size()
             ? std::string::npos
             : key + kChecksumKey.size();
}

/// The file's index, with everything in it.
models::WeightIndex index_of(const models::ByteSource& source) {
  const std::string start = source.text(0, std::min(source.size(), kLengthBytes + 1));
  if (start.size() <= kLengthBytes || start[kLengthBytes] != '{' ||
      models::little_endian<std::uint64_t>(start.data()) > models::HeaderLimits{}.bytes) {
    throw DataError(source.origin() + " is not a Batchscope checkpoint.");
  }
  try {
    return models::index_all_safetensors(source);
  } catch (const models::WeightError& error) {
    throw DataError("Checkpoint " + source.origin() + " " + error.why() + ".");
  }
}

const std::string& note(const models::WeightIndex& index,
                        const char* name,
                        const std::string& origin) {
  const auto found = index.metadata.find(name);
  if (found == index.metadata.end()) {
    throw DataError("Checkpoint " + origin + " is damaged: its header lacks \"" + name + "\".");
  }
  return found->second;
}

}  // namespace

void StateFile::add(const std::string& prefix,
                    const std::vector<std::pair<std::string, torch::Tensor>>& named) {
  for (const auto& [name, tensor] : named) {
    tensors.emplace_back(prefix + name, tensor);
  }
}

std::vector<std::pair<std::string, torch::Tensor>> StateFile::part(
    const std::string& prefix) const {
  std::vector<std::pair<std::string, torch::Tensor>> found;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix)) {
      found.emplace_back(name.substr(prefix.size()), tensor);
    }
  }
  return found;
}

std::string encode_state(const StateFile& state) {
  json header = json::object();
  header["__metadata__"] = {{"format", kFormat}, {"checksum", kNoChecksum}, {"state", state.words}};
  std::size_t total = 0;
  for (const auto& [name, tensor] : state.tensors) {
    const std::size_t end = total + tensor.nbytes();
    const bool is_new =
        header
            .emplace(name,
                     json{{"dtype", models::type_name(models::tensor_type(tensor.scalar_type()))},
                          {"shape", tensor.sizes().vec()},
                          {"data_offsets", {total, end}}})
            .second;
    if (!is_new) {
      throw std::logic_error("state file: tensor " + name + " stands twice");
    }
    total = end;
  }
  std::string bytes = with_length(header.dump());
  const std::size_t place = checksum_place(bytes, std::string(kNoChecksum));
  bytes.reserve(bytes.size() + total);
  for (const auto& [name, tensor] : state.tensors) {
    const torch::Tensor flat = tensor.detach().to(torch::kCPU).contiguous();
    bytes.append(static_cast<const char*>(flat.const_data_ptr()), flat.nbytes());
  }
  bytes.replace(place, kNoChecksum.size(), checksum(bytes, place));
  return bytes;
}

StateFile decode_state(const std::string& bytes, const std::string& origin) {
  const models::MemorySource source(origin, bytes);
  const models::WeightIndex index = index_of(source);
  const auto format = index.metadata.find("format");
  if (format == index.metadata.end() || format->second != kFormat) {
    throw DataError(origin + " is not a Batchscope checkpoint, or its header is damaged.");
  }
  const std::string& stored = note(index, "checksum", origin);
  const std::size_t place = checksum_place(bytes, stored);
  if (place == std::string::npos || stored != checksum(bytes, place)) {
    throw DataError("Checkpoint " + origin + " is damaged: its checksum does not match.");
  }
  StateFile state;
  state.words = note(index, "state", origin);
  for (const models::WeightEntry& entry : index.entries) {
    const models::WeightStorage& storage = index.storages[entry.storage];
    torch::Tensor tensor = torch::empty(entry.shape, models::scalar_type(entry.type));
    source.read(storage.begin, tensor.data_ptr(), storage.bytes);
    state.tensors.emplace_back(entry.name, std::move(tensor));
  }
  std::ranges::sort(state.tensors, {}, &std::pair<std::string, torch::Tensor>::first);
  return state;
}

std::int64_t write_bytes_durably(const std::filesystem::path& file, const std::string& bytes) {
  std::error_code ignored;
  std::filesystem::create_directories(file.parent_path(), ignored);
  try {
    models::FileWriter writer(file, {.durable = true});
    writer.append(bytes);
    writer.finish();
  } catch (const models::DiskError& error) {
    throw StorageError(error.what());
  }
  return static_cast<std::int64_t>(bytes.size());
}

std::string read_bytes(const std::filesystem::path& file) {
  try {
    const models::FileSource source(file);
    return source.text(0, source.size());
  } catch (const models::WeightError& error) {
    throw DataError(error.what());
  }
}

}  // namespace batchscope::train
