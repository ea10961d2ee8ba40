#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace batchscope::train {

/// What a checkpoint or a restore point holds: words (JSON text, owned by the trainer) and named
/// tensors.
struct StateFile {
  std::string words;
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
  /// The tensors may be a training's own, which its next update changes.
  bool live = false;

  /// Copies them, if so. Any thread.
  void copy_live();
  void add(const std::string& prefix,
           const std::vector<std::pair<std::string, torch::Tensor>>& named);
  /// The tensors whose names start with `prefix`, without it.
  std::vector<std::pair<std::string, torch::Tensor>> under(const std::string& prefix) const;
};

/// The file as bytes: safetensors (8 bytes header length, JSON header, raw data), with a checksum
/// over header and data in its metadata, so that Python can open it and damage is found.
std::string encode_state(const StateFile& state);
/// Throws contract::DataError: one sentence that names `origin` and says whether it is truncated,
/// damaged, or no checkpoint at all.
StateFile decode_state(const std::string& bytes, const std::string& origin);

/// Writes beside, syncs and renames: the file is whole or not there. Returns its size in bytes.
/// Throws contract::StorageError (disk full, no permission).
std::int64_t write_bytes_durably(const std::filesystem::path& file, const std::string& bytes);
/// The same of encode_state(state), without a second copy of it in memory. `before_it_appears` is
/// called when all is written and the file has not its name yet.
std::int64_t write_state_durably(const std::filesystem::path& file,
                                 const StateFile& state,
                                 const std::function<void()>& before_it_appears = nullptr);
/// Throws contract::DataError if the file is missing or cannot be read.
std::string read_bytes(const std::filesystem::path& file);

}  // namespace batchscope::train
