#pragma once

#include "models/weights/byte_source.h"
#include "models/weights/tensor_type.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace batchscope::models {

enum class WeightFormat : std::uint8_t { kSafetensors, kPth, kLegacyPth };

/// "safetensors", "pth (zip)" or "pth (legacy)".
const char* format_name(WeightFormat format);

/// A run of bytes in the file that tensors view.
struct WeightStorage {
  std::uint64_t begin = 0;  // in the file; of a zip record: of its local header
  std::uint64_t bytes = 0;
  bool zip_record = false;
};

/// One tensor of a file. Every element lies inside its storage.
struct WeightEntry {
  std::string name;
  TensorType type = TensorType::kF32;
  std::vector<std::int64_t> shape, strides;  // in elements, >= 0
  std::uint64_t first = 0;                   // byte of the first element in the storage
  std::uint32_t storage = 0;

  std::uint64_t elements() const;
  /// From the first element to the end of the last one in memory; 0 when it is empty.
  std::uint64_t span_bytes() const;
  bool contiguous() const;
};

/// What a weight file holds, without the tensors themselves.
struct WeightIndex {
  WeightFormat format = WeightFormat::kSafetensors;
  std::vector<WeightEntry> entries;  // in the order of the state_dict, of the data in safetensors
  std::vector<WeightStorage> storages;
  /// Where the state_dict was found: "" the whole file, else as "model" or "checkpoint.state_dict".
  std::string path;
  /// What else lies beside it ("optimizer: dict", "epoch = 12"), and what in it is no tensor.
  std::vector<std::string> others, skipped;
  /// Where else there are weights, of as many tensors or at least half of them: "model_ema".
  std::vector<std::string> other_sets;
  std::map<std::string, std::string> metadata;                 // of safetensors
  std::vector<std::pair<std::string, std::int64_t>> versions;  // of Python's modules, in order
};

/// Reads names, types, shapes and places of a .pth (zip or legacy) or safetensors file, not the
/// tensors: a file of 1 GB costs as much as its pickle or header. Runs nothing. Throws WeightError,
/// one sentence: not such a file, truncated, damaged, over a limit, no state_dict in it, or none at
/// `key`, a path as WeightIndex::path has it; empty: where trainers have it, else most tensors.
WeightIndex index_weights(const ByteSource& source, const std::string& key = {});

/// Of WeightIndex::other_sets: "It also holds model_ema: …"; empty for none.
std::string also_holds(const std::vector<std::string>& other_sets);

/// Where the bytes of a storage begin in the file. Throws WeightError.
std::uint64_t storage_place(const ByteSource& source, const WeightStorage& storage);

}  // namespace batchscope::models
