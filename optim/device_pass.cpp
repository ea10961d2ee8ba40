#include "optim/device_pass.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace batchscope::optim {

namespace {

using kernels::DeviceBlock;

/// Structs one after another in one array of bytes, each list at a multiple of 64.
class Table {
 public:
  template <typename T>
  std::int64_t add(const T* items, std::size_t count) {
    constexpr std::size_t kAlign = 64;
    bytes_.resize((bytes_.size() + kAlign - 1) / kAlign * kAlign);
    const std::size_t begin = bytes_.size();
    bytes_.resize(begin + count * sizeof(T));
    if (count > 0) {
      std::memcpy(bytes_.data() + begin, items, count * sizeof(T));
    }
    return static_cast<std::int64_t>(begin);
  }
  /// Copies the table to `device`; `host` and `table` are reused where they are large enough.
  void upload(torch::Tensor& host, torch::Tensor& table, const torch::Device& device) const {
    const auto size = static_cast<std::int64_t>(bytes_.size());
    if (!host.defined() || host.numel() < size) {
      host = torch::empty({size}, torch::TensorOptions().dtype(torch::kByte).pinned_memory(true));
      table = torch::empty({size}, torch::TensorOptions().dtype(torch::kByte).device(device));
    }
    std::memcpy(host.mutable_data_ptr(), bytes_.data(), bytes_.size());
    table.narrow(0, 0, size).copy_(host.narrow(0, 0, size), /*non_blocking=*/true);
  }

 private:
  std::vector<std::byte> bytes_;
};

/// Blocks of tensors and where those of each begin; the last entry of `first` is their number.
void blocks_of(const std::vector<std::int64_t>& elements,
               std::vector<DeviceBlock>& blocks,
               std::vector<std::int32_t>& first) {
  for (std::size_t k = 0; k < elements.size(); ++k) {
    first.push_back(static_cast<std::int32_t>(blocks.size()));
    for (std::int64_t begin = 0; begin < elements[k]; begin += kernels::kDeviceBlock) {
      blocks.push_back(
          {begin,
           static_cast<std::int32_t>(k),
           static_cast<std::int32_t>(std::min(kernels::kDeviceBlock, elements[k] - begin))});
    }
  }
  first.push_back(static_cast<std::int32_t>(blocks.size()));
}

template <typename T>
T* at(const torch::Tensor& bytes, std::int64_t begin) {
  return reinterpret_cast<T*>(static_cast<std::byte*>(bytes.mutable_data_ptr()) + begin);
}

torch::Tensor device_bytes(std::size_t size, const torch::Device& device) {
  return torch::empty({static_cast<std::int64_t>(std::max<std::size_t>(size, 64))},
                      torch::TensorOptions().dtype(torch::kByte).device(device));
}

/// The report comes first in the result, the outcomes after it.
constexpr std::int64_t kOutcomes = 64;
static_assert(sizeof(kernels::DeviceReport) <= kOutcomes);

}  // namespace

kernels::GradType grad_type(torch::ScalarType type) {
  switch (type) {
    case torch::kFloat:
      return kernels::GradType::kFloat32;
    case torch::kDouble:
      return kernels::GradType::kFloat64;
    case torch::kHalf:
      return kernels::GradType::kFloat16;
    case torch::kBFloat16:
      return kernels::GradType::kBFloat16;
    default:
      throw std::invalid_argument(
          std::string("optimizer: a gradient must be float32, float64, float16 or bfloat16, "
                      "found ") +
          c10::toString(type));
  }
}

void DevicePass::enqueue(const kernels::DeviceRules& rules,
                         const std::vector<kernels::DevicePiece>& pieces) {
  std::vector<std::int64_t> elements;
  elements.reserve(pieces.size());
  for (const kernels::DevicePiece& p : pieces) {
    elements.push_back(p.elements);
  }
  std::vector<DeviceBlock> blocks;
  std::vector<std::int32_t> first;
  blocks_of(elements, blocks, first);
  Table table;
  const std::int64_t at_rules = table.add(&rules, 1);
  const std::int64_t at_pieces = table.add(pieces.data(), pieces.size());
  const std::int64_t at_blocks = table.add(blocks.data(), blocks.size());
  const std::int64_t at_first = table.add(first.data(), first.size());
  table.upload(host_, table_, device_);
  count_ = static_cast<std::int64_t>(pieces.size());
  const std::size_t partial = blocks.size() * sizeof(kernels::DeviceOutcome);
  if (!partial_.defined() || static_cast<std::size_t>(partial_.numel()) < partial) {
    partial_ = device_bytes(partial, device_);
  }
  const std::size_t result = kOutcomes + pieces.size() * sizeof(kernels::DeviceOutcome);
  if (!result_.defined() || static_cast<std::size_t>(result_.numel()) < result) {
    result_ = device_bytes(result, device_);
  }
  kernels::DeviceMemory memory;
  memory.rules = at<kernels::DeviceRules>(table_, at_rules);
  memory.pieces = at<kernels::DevicePiece>(table_, at_pieces);
  memory.blocks = at<DeviceBlock>(table_, at_blocks);
  memory.first_block = at<std::int32_t>(table_, at_first);
  memory.partial = at<kernels::DeviceOutcome>(partial_, 0);
  memory.report = at<kernels::DeviceReport>(result_, 0);
  memory.outcomes = at<kernels::DeviceOutcome>(result_, kOutcomes);
  memory.count = static_cast<std::int32_t>(pieces.size());
  memory.block_count = static_cast<std::int32_t>(blocks.size());
  kernels::launch_device_step(rules, memory, device_.index());
}

kernels::DeviceReport DevicePass::read(std::vector<kernels::DeviceOutcome>& outcomes) const {
  const torch::Tensor host = result_.to(torch::kCPU);
  kernels::DeviceReport report;
  std::memcpy(&report, host.const_data_ptr(), sizeof report);
  outcomes.resize(static_cast<std::size_t>(count_));
  const auto* begin = static_cast<const std::byte*>(host.const_data_ptr()) + kOutcomes;
  for (std::size_t k = 0; k < outcomes.size(); ++k) {
    std::memcpy(&outcomes[k], begin + k * sizeof(kernels::DeviceOutcome), sizeof outcomes[k]);
  }
  return report;
}

std::vector<double> device_halves(const std::vector<torch::Tensor>& a,
                                  const std::vector<torch::Tensor>& b,
                                  const std::vector<torch::Tensor>& mean,
                                  double weight) {
  std::vector<kernels::DeviceHalfPiece> pieces;
  std::vector<std::int64_t> elements;
  elements.reserve(pieces.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    pieces.push_back({a[i].const_data_ptr(),
                      b[i].const_data_ptr(),
                      mean[i].defined() ? mean[i].mutable_data_ptr() : nullptr,
                      a[i].numel(),
                      grad_type(a[i].scalar_type())});
    elements.push_back(a[i].numel());
  }
  if (pieces.empty()) {
    return {};
  }
  const torch::Device device = a.front().device();
  std::vector<DeviceBlock> blocks;
  std::vector<std::int32_t> first;
  blocks_of(elements, blocks, first);
  Table table;
  const std::int64_t at_pieces = table.add(pieces.data(), pieces.size());
  const std::int64_t at_blocks = table.add(blocks.data(), blocks.size());
  const std::int64_t at_first = table.add(first.data(), first.size());
  torch::Tensor host, bytes;
  table.upload(host, bytes, device);
  const auto wide = torch::TensorOptions().dtype(torch::kDouble).device(device);
  const auto count = static_cast<std::int64_t>(pieces.size());
  const torch::Tensor partial = torch::empty({static_cast<std::int64_t>(blocks.size()) * 4}, wide);
  const torch::Tensor sums = torch::empty({count * 4}, wide);
  kernels::launch_device_halves({at<kernels::DeviceHalfPiece>(bytes, at_pieces),
                                 at<DeviceBlock>(bytes, at_blocks),
                                 at<std::int32_t>(bytes, at_first),
                                 partial.mutable_data_ptr<double>(),
                                 sums.mutable_data_ptr<double>(),
                                 static_cast<std::int32_t>(count),
                                 static_cast<std::int32_t>(blocks.size()),
                                 weight},
                                device.index());
  const torch::Tensor result = sums.to(torch::kCPU);
  const auto* data = result.const_data_ptr<double>();
  return {data, data + result.numel()};
}

}  // namespace batchscope::optim
