#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace batchscope::train {

// Files of named tensors as huggingface/safetensors defines them: 8 bytes header length, a JSON
// header, raw little-endian data.

/// One tensor of a file; begin and end count from the start of the data.
struct TensorEntry {
  std::string name;
  torch::ScalarType dtype = torch::kFloat32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

/// A name from a file as a message may show it: quoted, short, without control characters.
std::string shown(const std::string& name);
/// "F32", … and back. dtype_name throws std::invalid_argument for a type that the format lacks.
std::string dtype_name(torch::ScalarType type);
std::optional<torch::ScalarType> dtype_of_name(const std::string& name);

/// A file that is read tensor by tensor. One thread.
class TensorFile {
 public:
  /// Reads and checks the header. Throws contract::DataError, one sentence that names the file and
  /// what is wrong: not such a file, truncated, sizes that do not fit, tensors that overlap.
  explicit TensorFile(const std::filesystem::path& path);
  ~TensorFile();

  /// By name, sorted.
  const std::map<std::string, TensorEntry>& entries() const { return entries_; }
  /// "__metadata__": words by name.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// A copy in main memory. Throws contract::DataError if there is no such tensor or reading fails.
  torch::Tensor read(const std::string& name) const;
  const std::string& origin() const { return origin_; }

 private:
  void parse(const std::string& header, std::uint64_t data_size);
  void check_layout(std::uint64_t data_size) const;

  std::string origin_;
  int fd_ = -1;
  std::uint64_t data_begin_ = 0;
  std::map<std::string, TensorEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// All tensors of a file, by name.
std::map<std::string, torch::Tensor> read_tensors(const std::filesystem::path& path);

/// A file that is written tensor by tensor, so that it need not fit into memory: what it will hold
/// is said first. It appears under its name when finish() returns; until then, and if finish() is
/// never called, it does not exist. One thread.
class TensorFileWriter {
 public:
  /// entries: name, dtype and shape in the order of writing. Throws contract::StorageError.
  TensorFileWriter(std::filesystem::path path,
                   std::vector<TensorEntry> entries,
                   const std::map<std::string, std::string>& metadata);
  ~TensorFileWriter();
  TensorFileWriter(const TensorFileWriter&) = delete;
  TensorFileWriter& operator=(const TensorFileWriter&) = delete;

  /// The next tensor, converted to its entry's dtype. Throws std::logic_error for another shape.
  void write(const torch::Tensor& tensor);
  /// Throws std::logic_error when tensors are missing.
  void finish();

 private:
  void append(const void* bytes, std::size_t count);
  void flush();

  std::filesystem::path path_, beside_;
  std::vector<TensorEntry> entries_;
  std::size_t next_ = 0;
  int fd_ = -1;
  std::string buffer_;
};

}  // namespace batchscope::train
