#include "tests/support/tensor_file.h"

#include <nlohmann/json.hpp>

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace batchscope::testing {
namespace {

torch::ScalarType dtype_of(const std::string& name) {
  static const std::map<std::string, torch::ScalarType> kTypes = {{"F32", torch::kFloat32},
                                                                  {"F64", torch::kFloat64},
                                                                  {"I64", torch::kInt64},
                                                                  {"U8", torch::kUInt8}};
  return kTypes.at(name);
}

}  // namespace

std::map<std::string, torch::Tensor> read_tensor_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::uint64_t header_size = 0;
  if (bytes.size() < sizeof header_size) {
    throw std::runtime_error("cannot read " + path);
  }
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  const auto header = nlohmann::json::parse(bytes.substr(sizeof header_size, header_size));
  const char* data = bytes.data() + sizeof header_size + header_size;
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      continue;
    }
    const auto shape = entry.at("shape").get<std::vector<std::int64_t>>();
    torch::Tensor tensor = torch::empty(shape, dtype_of(entry.at("dtype").get<std::string>()));
    const auto first = entry.at("data_offsets").at(0).get<std::size_t>();
    std::memcpy(tensor.data_ptr(), data + first, tensor.nbytes());
    tensors.emplace(name, tensor);
  }
  return tensors;
}

}  // namespace batchscope::testing
