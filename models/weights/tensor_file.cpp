#include "models/weights/tensor_file.h"

#include "models/weights/weight_error.h"

#include <array>
#include <stdexcept>

namespace batchscope::models {
namespace {

// In the order of TensorType.
constexpr std::array<torch::ScalarType, kTensorTypes> kTypes = {torch::kFloat64,
                                                                torch::kFloat32,
                                                                torch::kFloat16,
                                                                torch::kBFloat16,
                                                                torch::kInt64,
                                                                torch::kInt32,
                                                                torch::kInt16,
                                                                torch::kInt8,
                                                                torch::kUInt8,
                                                                torch::kBool,
                                                                torch::kUInt16,
                                                                torch::kUInt32,
                                                                torch::kUInt64,
                                                                torch::kFloat8_e4m3fn,
                                                                torch::kFloat8_e5m2,
                                                                torch::kComplexFloat};

}  // namespace

torch::ScalarType scalar_type(TensorType type) {
  return kTypes[static_cast<std::size_t>(type)];
}

TensorType tensor_type(torch::ScalarType type) {
  for (std::size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i] == type) {
      return static_cast<TensorType>(i);
    }
  }
  throw std::invalid_argument(std::string("tensor file: dtype ") + torch::toString(type) +
                              " cannot be stored");
}

TensorFile::TensorFile(const std::filesystem::path& path, const std::string& key)
    : opened_(open_weights(path, key)) {
  for (const WeightEntry& entry : index().entries) {
    entries_.emplace(entry.name, entry);
  }
}

torch::Tensor TensorFile::read(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    refuse_file(origin(), "has no tensor " + shown(name));
  }
  return read(found->second);
}

torch::Tensor TensorFile::read(const WeightEntry& entry) const {
  const torch::ScalarType type = scalar_type(entry.type);
  const std::uint64_t bytes = entry.span_bytes();
  if (bytes == 0) {
    return torch::empty(entry.shape, type);
  }
  const std::uint64_t begin =
      storage_place(*opened_.source, index().storages[entry.storage]) + entry.first;
  if (entry.contiguous()) {
    torch::Tensor tensor = torch::empty(entry.shape, type);
    opened_.source->read(begin, tensor.data_ptr(), bytes);
    return tensor;
  }
  const auto elements = static_cast<std::int64_t>(bytes / element_size(entry.type));
  const torch::Tensor span = torch::empty({elements}, type);
  opened_.source->read(begin, span.data_ptr(), bytes);
  return span.as_strided(entry.shape, entry.strides).contiguous();
}

std::map<std::string, torch::Tensor> read_tensors(const std::filesystem::path& path) {
  const TensorFile file(path);
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& [name, entry] : file.entries()) {
    tensors.emplace(name, file.read(entry));
  }
  return tensors;
}

TensorFileWriter::TensorFileWriter(const std::filesystem::path& path,
                                   WeightFormat format,
                                   std::vector<TensorSpec> tensors,
                                   const WeightNotes& notes)
    : tensors_(std::move(tensors)), encoder_(make_encoder(path, format, tensors_, notes)) {}

void TensorFileWriter::write(const torch::Tensor& tensor) {
  if (next_ >= tensors_.size() || tensor.sizes() != at::IntArrayRef(tensors_[next_].shape)) {
    throw std::logic_error("tensor file: this tensor was not announced");
  }
  const torch::Tensor flat =
      tensor.detach().to(torch::kCPU, scalar_type(tensors_[next_].type)).contiguous();
  encoder_->add(flat.const_data_ptr(), flat.nbytes());
  ++next_;
}

void TensorFileWriter::finish() {
  if (next_ != tensors_.size()) {
    throw std::logic_error("tensor file: tensors are missing");
  }
  encoder_->finish();
}

}  // namespace batchscope::models
