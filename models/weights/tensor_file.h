#pragma once

#include "models/weights/weight_encoder.h"
#include "models/weights/weight_parts.h"

#include <torch/types.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace batchscope::models {

/// torch's name of an element type, and back. The latter throws std::invalid_argument for a type
/// that weight files lack.
torch::ScalarType scalar_type(TensorType type);
TensorType tensor_type(torch::ScalarType type);

/// A .pth (zip or legacy) or .safetensors file, or the index of one in parts, read tensor by
/// tensor. One thread.
class TensorFile {
 public:
  /// Reads the index alone (open_weights), of the weights at `key`. Throws WeightError.
  explicit TensorFile(const std::filesystem::path& path, const std::string& key = {});

  const WeightIndex& index() const { return opened_.index; }
  /// By name, sorted.
  const std::map<std::string, WeightEntry>& entries() const { return entries_; }
  const std::map<std::string, std::string>& metadata() const { return opened_.index.metadata; }
  const std::string& origin() const { return opened_.source->origin(); }
  /// A contiguous copy in main memory. Throws WeightError if there is no such tensor, or reading
  /// fails.
  torch::Tensor read(const std::string& name) const;
  torch::Tensor read(const WeightEntry& entry) const;

 private:
  OpenedWeights opened_;
  std::map<std::string, WeightEntry> entries_;
};

/// All tensors of a file, by name.
std::map<std::string, torch::Tensor> read_tensors(const std::filesystem::path& path);

/// A WeightEncoder that is given tensors. One thread.
class TensorFileWriter {
 public:
  /// What will be written, in order. Throws as make_encoder.
  TensorFileWriter(const std::filesystem::path& path,
                   WeightFormat format,
                   std::vector<TensorSpec> tensors,
                   const WeightNotes& notes);

  /// The next tensor, converted to its announced type. Throws std::logic_error for another shape.
  void write(const torch::Tensor& tensor);
  /// Throws std::logic_error when tensors are missing.
  void finish();

 private:
  std::vector<TensorSpec> tensors_;
  std::size_t next_ = 0;
  std::unique_ptr<WeightEncoder> encoder_;
};

}  // namespace batchscope::models
