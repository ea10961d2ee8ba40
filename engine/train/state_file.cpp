#include "engine/train/state_file.h"

#include "engine/contract/error.h"
#include "models/weights/file_writer.h"
#include "models/weights/tensor_file.h"
#include "models/weights/weight_error.h"

#include <nlohmann/json.hpp>

#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace batchscope::train {
namespace {

using contract::DataError;
using contract::StorageError;
using nlohmann::json;

constexpr const char* kFormat = "batchscope-state-1";
constexpr const char* kNoChecksum = "0000000000000000";

/// A 64-bit mix of eight bytes at a time: fast enough to be no part of a checkpoint's cost, and any
/// single changed byte changes it.
std::string checksum(const char* data, std::size_t size) {
  std::uint64_t hash = 0x9e3779b97f4a7c15ULL ^ size;
  while (size > 0) {
    std::uint64_t word = 0;
    const std::size_t taken = std::min<std::size_t>(8, size);
    std::memcpy(&word, data, taken);
    hash = std::rotl(hash ^ word, 27) * 0xff51afd7ed558ccdULL + 0x52dce729ULL;
    data += taken;
    size -= taken;
  }
  std::ostringstream text;
  text << std::hex << hash;
  const std::string digits = text.str();
  return std::string(16 - digits.size(), '0') + digits;
}

std::string with_length(const std::string& header) {
  const auto length = static_cast<std::uint64_t>(header.size());
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header;
}

torch::Tensor read_tensor(const std::string& name,
                          const json& entry,
                          const char* data,
                          std::size_t data_size,
                          const std::string& origin) {
  const auto type = models::type_of_name(entry.at("dtype").get<std::string>());
  const auto shape = entry.at("shape").get<std::vector<std::int64_t>>();
  const auto begin = entry.at("data_offsets").at(0).get<std::size_t>();
  const auto end = entry.at("data_offsets").at(1).get<std::size_t>();
  if (!type || begin > end || end > data_size) {
    throw DataError("Checkpoint " + origin + " is damaged: the entry of tensor " + name +
                    " points outside the file.");
  }
  torch::Tensor tensor = torch::empty(shape, models::scalar_type(*type));
  if (tensor.nbytes() != end - begin) {
    throw DataError("Checkpoint " + origin + " is damaged: tensor " + name + " has " +
                    std::to_string(end - begin) + " bytes, its shape needs " +
                    std::to_string(tensor.nbytes()) + ".");
  }
  std::memcpy(tensor.data_ptr(), data + begin, end - begin);
  return tensor;
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
  std::string data;
  std::size_t total = 0;
  for (const auto& [name, tensor] : state.tensors) {
    total += tensor.nbytes();
  }
  data.reserve(total);
  for (const auto& [name, tensor] : state.tensors) {
    const torch::Tensor flat = tensor.detach().to(torch::kCPU).contiguous();
    const std::size_t begin = data.size();
    data.append(static_cast<const char*>(flat.const_data_ptr()), flat.nbytes());
    header[name] = {{"dtype", models::type_name(models::tensor_type(flat.scalar_type()))},
                    {"shape", std::vector<std::int64_t>(flat.sizes().begin(), flat.sizes().end())},
                    {"data_offsets", {begin, data.size()}}};
  }
  std::string bytes = with_length(header.dump()) + data;
  const std::size_t place = bytes.find(kNoChecksum, 8);
  bytes.replace(place, 16, checksum(bytes.data(), bytes.size()));
  return bytes;
}

StateFile decode_state(const std::string& bytes, const std::string& origin) {
  std::uint64_t length = 0;
  if (bytes.size() >= 8) {
    std::memcpy(&length, bytes.data(), 8);
  }
  if (bytes.size() < 10 || length > (1ULL << 30) || bytes[8] != '{') {
    throw DataError(origin + " is not a Batchscope checkpoint.");
  }
  if (8 + length > bytes.size()) {
    throw DataError("Checkpoint " + origin + " is truncated: its header needs " +
                    std::to_string(8 + length) + " bytes, the file has " +
                    std::to_string(bytes.size()) + ".");
  }
  const json header = json::parse(
      bytes.begin() + 8, bytes.begin() + 8 + static_cast<std::ptrdiff_t>(length), nullptr, false);
  if (header.is_discarded() || !header.contains("__metadata__") ||
      header["__metadata__"].value("format", "") != kFormat) {
    throw DataError(origin + " is not a Batchscope checkpoint, or its header is damaged.");
  }
  const json& metadata = header["__metadata__"];
  const char* data = bytes.data() + 8 + length;
  const std::size_t data_size = bytes.size() - 8 - length;
  std::size_t needed = 0;
  try {
    for (const auto& [name, entry] : header.items()) {
      if (name != "__metadata__") {
        needed = std::max(needed, entry.at("data_offsets").at(1).get<std::size_t>());
      }
    }
    if (needed > data_size) {
      throw DataError("Checkpoint " + origin + " is truncated: it should have " +
                      std::to_string(8 + length + needed) + " bytes, the file has " +
                      std::to_string(bytes.size()) + ".");
    }
    const std::string stored = metadata.at("checksum").get<std::string>();
    std::string zeroed = bytes;
    const std::size_t place = zeroed.find(stored, 8);
    zeroed.replace(place, stored.size(), kNoChecksum);
    if (stored != checksum(zeroed.data(), zeroed.size())) {
      throw DataError("Checkpoint " + origin + " is damaged: its checksum does not match.");
    }
    StateFile state;
    state.words = metadata.at("state").get<std::string>();
    for (const auto& [name, entry] : header.items()) {
      if (name != "__metadata__") {
        state.tensors.emplace_back(name, read_tensor(name, entry, data, data_size, origin));
      }
    }
    return state;
  } catch (const json::exception&) {
    throw DataError("Checkpoint " + origin + " is damaged: its header is not as it was written.");
  }
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
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    throw DataError("Could not open " + file.string() + ": " + std::strerror(errno) + ".");
  }
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

}  // namespace batchscope::train
