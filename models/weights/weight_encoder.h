#pragma once

#include "models/weights/file_writer.h"
#include "models/weights/safetensors_header.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace batchscope::models {

/// What stands in a weight file beside the tensors.
struct WeightNotes {
  std::map<std::string, std::string> metadata;                 // of safetensors
  std::vector<std::pair<std::string, std::int64_t>> versions;  // of Python's modules, in a .pth
};

/// A weight file that is written tensor by tensor, so that it need not fit into memory: what it
/// will hold is said first. It appears under its name when finish() returns. One thread.
class WeightEncoder {
 public:
  virtual ~WeightEncoder() = default;
  /// The bytes of the next announced tensor, contiguous, little-endian. Throws DiskError.
  virtual void add(const void* bytes, std::uint64_t count) = 0;
  virtual void finish() = 0;
};

/// The format that goes with an ending: .safetensors or .pth (.pt too). Throws
/// std::invalid_argument for another one.
WeightFormat format_of(const std::filesystem::path& path);

/// kSafetensors, or kPth (a zip file that Python's torch.load opens with its defaults). Throws
/// DiskError if the file cannot be made, std::invalid_argument for a name that stands twice.
std::unique_ptr<WeightEncoder> make_encoder(const std::filesystem::path& path,
                                            WeightFormat format,
                                            const std::vector<TensorSpec>& tensors,
                                            const WeightNotes& notes);

}  // namespace batchscope::models
