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
/// single changed byte changes it. Takes the bytes in pieces of any size.
class Checksum {
 public:
  explicit Checksum(std::uint64_t total) : hash_(0x9e3779b97f4a7c15ULL ^ total) {}
  void add(const void* bytes, std::size_t count) {
    const auto* at = static_cast<const char*>(bytes);
    while (count > 0) {
      if (held_ == 0 && count >= sizeof word_) {
        std::memcpy(&word_, at, sizeof word_);
        mix();
        at += sizeof word_;
        count -= sizeof word_;
        continue;
      }
      reinterpret_cast<char*>(&word_)[held_++] = *at++;
      --count;
      if (held_ == sizeof word_) {
        mix();
      }
    }
  }
  /// The last call.
  std::string digits() {
    if (held_ > 0) {
      mix();
    }
    std::ostringstream text;
    text << std::hex << hash_;
    const std::string found = text.str();
    return std::string(kNoChecksum.size() - found.size(), '0') + found;
  }

 private:
  void mix() {
    hash_ = std::rotl(hash_ ^ word_, 27) * 0xff51afd7ed558ccdULL + 0x52dce729ULL;
    word_ = 0;
    held_ = 0;
  }
  std::uint64_t hash_, word_ = 0;
  std::size_t held_ = 0;
};

/// Of `bytes` with zeros in the place of the checksum itself.
std::string checksum(const std::string& bytes, std::size_t place) {
  Checksum sum(bytes.size());
  const std::size_t end = place + kNoChecksum.size();
  sum.add(bytes.data(), place);
  sum.add(kNoChecksum.data(), kNoChecksum.size());
  sum.add(bytes.data() + end, bytes.size() - end);
  return sum.digits();
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

void StateFile::copy_live() {
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : tensors) {
    if (live) {
      tensor = tensor.clone(at::MemoryFormat::Contiguous);
    }
  }
  live = false;
}

void StateFile::add(const std::string& prefix,
                    const std::vector<std::pair<std::string, torch::Tensor>>& named) {
  for (const auto& [name, tensor] : named) {
    tensors.emplace_back(prefix + name, tensor);
  }
}

std::vector<std::pair<std::string, torch::Tensor>> StateFile::under(
    const std::string& prefix) const {
  std::vector<std::pair<std::string, torch::Tensor>> found;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix)) {
      found.emplace_back(name.substr(prefix.size()), tensor);
    }
  }
  return found;
}

namespace {

/// The file's start, with its checksum; `tensors` are whole and on the CPU.
std::string header_of(const std::string& words,
                      const std::vector<std::pair<std::string, torch::Tensor>>& tensors) {
  json header = json::object();
  header["__metadata__"] = {{"format", kFormat}, {"checksum", kNoChecksum}, {"state", words}};
  std::size_t total = 0;
  for (const auto& [name, tensor] : tensors) {
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
  std::string start = with_length(header.dump());
  Checksum sum(start.size() + total);
  sum.add(start.data(), start.size());
  for (const auto& [name, tensor] : tensors) {
    sum.add(tensor.const_data_ptr(), tensor.nbytes());
  }
  const std::size_t place = checksum_place(start, std::string(kNoChecksum));
  start.replace(place, kNoChecksum.size(), sum.digits());
  return start;
}

/// Calls take(bytes, count) with the file's bytes, from the first to the last.
template <class Take>
void put_out(const StateFile& state, Take take) {
  std::vector<std::pair<std::string, torch::Tensor>> flat;
  for (const auto& [name, tensor] : state.tensors) {
    flat.emplace_back(name, tensor.detach().to(torch::kCPU).contiguous());
  }
  const std::string start = header_of(state.words, flat);
  take(start.data(), start.size());
  for (const auto& [name, tensor] : flat) {
    take(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
  }
}

}  // namespace

std::string encode_state(const StateFile& state) {
  std::string bytes;
  put_out(state, [&](const char* more, std::size_t count) { bytes.append(more, count); });
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

namespace {

template <class Fill>
std::int64_t write_durably(const std::filesystem::path& file, Fill fill) {
  std::error_code ignored;
  std::filesystem::create_directories(file.parent_path(), ignored);
  try {
    models::FileWriter writer(file, {.durable = true});
    fill(writer);
    writer.finish();
    return static_cast<std::int64_t>(writer.place());
  } catch (const models::DiskError& error) {
    throw StorageError(error.what());
  }
}

}  // namespace

std::int64_t write_bytes_durably(const std::filesystem::path& file, const std::string& bytes) {
  return write_durably(file, [&](models::FileWriter& writer) { writer.append(bytes); });
}

std::int64_t write_state_durably(const std::filesystem::path& file,
                                 const StateFile& state,
                                 const std::function<void()>& before_it_appears) {
  return write_durably(file, [&](models::FileWriter& writer) {
    put_out(state, [&](const char* bytes, std::size_t count) { writer.append(bytes, count); });
    if (before_it_appears) {
      before_it_appears();
    }
  });
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
