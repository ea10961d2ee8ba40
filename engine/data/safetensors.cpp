#include "engine/data/safetensors.h"

#include "engine/contract/error.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_set>

namespace batchscope::train {
namespace {

using contract::DataError;
using nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kLongestHeader = 100'000'000;  // the format's own bound
constexpr const char* kMetadata = "__metadata__";

const std::map<std::string, torch::ScalarType>& dtypes() {
  static const std::map<std::string, torch::ScalarType> table = {{"F64", torch::kFloat64},
                                                                 {"F32", torch::kFloat32},
                                                                 {"F16", torch::kFloat16},
                                                                 {"BF16", torch::kBFloat16},
                                                                 {"I64", torch::kInt64},
                                                                 {"I32", torch::kInt32},
                                                                 {"I16", torch::kInt16},
                                                                 {"I8", torch::kInt8},
                                                                 {"U8", torch::kUInt8},
                                                                 {"BOOL", torch::kBool}};
  return table;
}

[[noreturn]] void refuse(const std::string& origin, const std::string& why) {
  throw DataError("Tensor file " + origin + " " + why + ".");
}

/// Bytes that a shape needs; nullopt when they are more than can be counted.
std::optional<std::uint64_t> bytes_of(const std::vector<std::int64_t>& shape,
                                      torch::ScalarType dtype) {
  std::uint64_t bytes = torch::elementSize(dtype);
  bool over = false, empty = false;
  for (const std::int64_t side : shape) {
    // A side of 0 does not excuse the others: strides are products too.
    const auto factor = static_cast<std::uint64_t>(std::max<std::int64_t>(side, 1));
    empty = empty || side == 0;
    over = over || __builtin_mul_overflow(bytes, factor, &bytes);
  }
  if (over || bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return std::nullopt;
  }
  return empty ? 0 : bytes;
}

/// Finds a name that stands twice at the top of an object, of which the library would keep the
/// last. (Its callback parser is quadratic in the number of names.)
class Names : public json::json_sax_t {
 public:
  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool string(string_t& /*value*/) override { return true; }
  bool binary(binary_t& /*value*/) override { return true; }
  bool start_object(std::size_t /*elements*/) override { return ++depth_ > 0; }
  bool end_object() override { return depth_-- > 0; }
  bool start_array(std::size_t /*elements*/) override { return ++depth_ > 0; }
  bool end_array() override { return depth_-- > 0; }
  bool key(string_t& name) override {
    if (depth_ == 1 && !names_.insert(name).second) {
      twice = name;
    }
    return true;
  }
  bool parse_error(std::size_t /*place*/,
                   const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

  std::string twice;

 private:
  std::int64_t depth_ = 0;
  std::unordered_set<std::string> names_;
};

json parse_json(const std::string& header, const std::string& origin) {
  Names names;
  if (!json::sax_parse(header, &names)) {
    refuse(origin, "has a header that is not a JSON object");
  }
  if (!names.twice.empty()) {
    refuse(origin, "names tensor " + shown(names.twice) + " twice");
  }
  json object = json::parse(header, nullptr, false);
  if (!object.is_object()) {
    refuse(origin, "has a header that is not a JSON object");
  }
  return object;
}

/// The list of non-negative whole numbers at `key`; nullopt if it is anything else.
std::optional<std::vector<std::uint64_t>> numbers_at(const json& entry, const char* key) {
  if (!entry.contains(key) || !entry[key].is_array()) {
    return std::nullopt;
  }
  std::vector<std::uint64_t> numbers;
  for (const json& number : entry[key]) {
    if (!number.is_number_unsigned()) {
      return std::nullopt;
    }
    numbers.push_back(number.get<std::uint64_t>());
  }
  return numbers;
}

TensorEntry read_entry(const std::string& name, const json& entry, const std::string& origin) {
  const std::string tensor = "tensor " + shown(name);
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string()) {
    refuse(origin, "has no dtype for " + tensor);
  }
  const auto dtype = dtype_of_name(entry["dtype"].get<std::string>());
  if (!dtype) {
    refuse(origin,
           "has " + tensor + " of dtype " + shown(entry["dtype"].get<std::string>()) +
               ", expected one of F64, F32, F16, BF16, I64, I32, I16, I8, U8 and BOOL");
  }
  const auto shape = numbers_at(entry, "shape"), offsets = numbers_at(entry, "data_offsets");
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!shape || std::ranges::any_of(*shape, [](std::uint64_t side) { return side > kMost; })) {
    refuse(origin, "has no shape of whole numbers for " + tensor);
  }
  if (!offsets || offsets->size() != 2 || (*offsets)[0] > (*offsets)[1]) {
    refuse(origin, "has no pair of data_offsets [begin, end] for " + tensor);
  }
  TensorEntry found{name, *dtype, {shape->begin(), shape->end()}, (*offsets)[0], (*offsets)[1]};
  const auto bytes = bytes_of(found.shape, found.dtype);
  if (!bytes || *bytes != found.end - found.begin) {
    refuse(origin,
           "gives " + tensor + " " + std::to_string(found.end - found.begin) +
               " bytes, its shape and dtype need " +
               (bytes ? std::to_string(*bytes) : std::string("more than there can be")));
  }
  return found;
}

contract::StorageError disk_error(const std::string& verb, const std::filesystem::path& file) {
  return contract::StorageError("Could not " + verb + " " + file.string() + ": " +
                                std::strerror(errno) + ".");
}

/// Reads exactly `count` bytes at `offset`; false when the file ends or fails before.
bool read_at(int fd, void* to, std::uint64_t count, std::uint64_t offset) {
  auto* bytes = static_cast<char*>(to);
  while (count > 0) {
    const ssize_t got = ::pread(fd, bytes, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return false;
    }
    bytes += got;
    offset += static_cast<std::uint64_t>(got);
    count -= static_cast<std::uint64_t>(got);
  }
  return true;
}

}  // namespace

std::string shown(const std::string& name) {
  constexpr std::size_t kMost = 80;
  std::string text = name.substr(0, kMost);
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return "\"" + text + (name.size() > kMost ? "…\"" : "\"");
}

std::string dtype_name(torch::ScalarType type) {
  for (const auto& [name, known] : dtypes()) {
    if (known == type) {
      return name;
    }
  }
  throw std::invalid_argument(std::string("tensor file: dtype ") + torch::toString(type) +
                              " cannot be stored");
}

std::optional<torch::ScalarType> dtype_of_name(const std::string& name) {
  const auto known = dtypes().find(name);
  return known == dtypes().end() ? std::nullopt : std::optional(known->second);
}

TensorFile::TensorFile(const std::filesystem::path& path) : origin_(path.filename().string()) {
  // Not blocking: a pipe without a writer is refused below instead of being waited for.
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info {};
  if (fd_ < 0 || ::fstat(fd_, &info) != 0) {
    const std::string reason = std::strerror(errno);
    if (fd_ >= 0) {
      ::close(fd_);
    }
    throw DataError("Could not open " + path.string() + ": " + reason + ".");
  }
  try {
    const auto size = static_cast<std::uint64_t>(info.st_size);
    std::uint64_t length = 0;
    if (!S_ISREG(info.st_mode) || size < kLengthBytes || !read_at(fd_, &length, kLengthBytes, 0)) {
      refuse(origin_, "is not a safetensors file: it is too short or no file");
    }
    if (length > kLongestHeader) {
      refuse(origin_,
             "is not a safetensors file: its header would have " + std::to_string(length) +
                 " bytes, at most " + std::to_string(kLongestHeader) + " are allowed");
    }
    if (length > size - kLengthBytes) {
      refuse(origin_,
             "is truncated: its header needs " + std::to_string(kLengthBytes + length) +
                 " bytes, the file has " + std::to_string(size));
    }
    std::string header(length, '\0');
    if (!read_at(fd_, header.data(), length, kLengthBytes)) {
      refuse(origin_, "could not be read");
    }
    data_begin_ = kLengthBytes + length;
    parse(header, size - data_begin_);
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

TensorFile::~TensorFile() {
  ::close(fd_);
}

void TensorFile::parse(const std::string& header, std::uint64_t data_size) {
  const json object = parse_json(header, origin_);
  for (const auto& [name, entry] : object.items()) {
    if (name != kMetadata) {
      entries_.emplace(name, read_entry(name, entry, origin_));
      continue;
    }
    if (!entry.is_object()) {
      refuse(origin_, "has metadata that is not a JSON object");
    }
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) {
        refuse(origin_, "has metadata " + shown(key) + " that is not a string");
      }
      metadata_[key] = value.get<std::string>();
    }
  }
  check_layout(data_size);
}

void TensorFile::check_layout(std::uint64_t data_size) const {
  std::vector<const TensorEntry*> order;
  for (const auto& [name, entry] : entries_) {
    order.push_back(&entry);
  }
  std::ranges::sort(order, [](const TensorEntry* a, const TensorEntry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  if (!order.empty() && order.back()->end > data_size) {
    refuse(origin_,
           "is truncated or damaged: tensor " + shown(order.back()->name) + " ends at byte " +
               std::to_string(order.back()->end) + " of the data, which has " +
               std::to_string(data_size) + " bytes");
  }
  std::uint64_t reached = 0;
  for (const TensorEntry* entry : order) {
    if (entry->begin != reached) {
      refuse(origin_,
             "is damaged: tensor " + shown(entry->name) + " begins at byte " +
                 std::to_string(entry->begin) + " of the data, expected " +
                 std::to_string(reached) +
                 (entry->begin < reached ? " (it overlaps another)" : " (there is a gap)"));
    }
    reached = entry->end;
  }
  if (reached != data_size) {
    refuse(origin_,
           "is damaged: its tensors have " + std::to_string(reached) + " bytes, its data " +
               std::to_string(data_size));
  }
}

torch::Tensor TensorFile::read(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    refuse(origin_, "has no tensor " + shown(name));
  }
  const TensorEntry& entry = found->second;
  torch::Tensor tensor = torch::empty(entry.shape, entry.dtype);
  if (entry.end > entry.begin &&
      !read_at(fd_, tensor.data_ptr(), entry.end - entry.begin, data_begin_ + entry.begin)) {
    refuse(origin_, "could not be read to the end of tensor " + shown(name));
  }
  return tensor;
}

std::map<std::string, torch::Tensor> read_tensors(const std::filesystem::path& path) {
  const TensorFile file(path);
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& [name, entry] : file.entries()) {
    tensors.emplace(name, file.read(name));
  }
  return tensors;
}

TensorFileWriter::TensorFileWriter(std::filesystem::path path,
                                   std::vector<TensorEntry> entries,
                                   const std::map<std::string, std::string>& metadata)
    : path_(std::move(path)), beside_(path_.string() + ".part"), entries_(std::move(entries)) {
  json header = json::object();
  if (!metadata.empty()) {
    header[kMetadata] = metadata;
  }
  std::uint64_t place = 0;
  for (TensorEntry& entry : entries_) {
    entry.begin = place;
    place += bytes_of(entry.shape, entry.dtype).value();
    entry.end = place;
    header[entry.name] = {{"dtype", dtype_name(entry.dtype)},
                          {"shape", entry.shape},
                          {"data_offsets", {entry.begin, entry.end}}};
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  fd_ = ::open(beside_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
  if (fd_ < 0) {
    throw disk_error("create", beside_);
  }
  const auto length = static_cast<std::uint64_t>(text.size());
  append(&length, sizeof length);
  append(text.data(), text.size());
}

TensorFileWriter::~TensorFileWriter() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(beside_.c_str());
  }
}

void TensorFileWriter::append(const void* bytes, std::size_t count) {
  constexpr std::size_t kBuffer = 1 << 20;
  buffer_.append(static_cast<const char*>(bytes), count);
  if (buffer_.size() >= kBuffer) {
    flush();
  }
}

void TensorFileWriter::flush() {
  std::size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t wrote = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (wrote < 0 && errno == EINTR) {
      continue;
    }
    if (wrote <= 0) {
      throw disk_error("write", beside_);
    }
    done += static_cast<std::size_t>(wrote);
  }
  buffer_.clear();
}

void TensorFileWriter::write(const torch::Tensor& tensor) {
  if (next_ >= entries_.size() || tensor.sizes() != at::IntArrayRef(entries_[next_].shape)) {
    throw std::logic_error("tensor file: this tensor was not announced");
  }
  const torch::Tensor flat = tensor.detach().to(torch::kCPU, entries_[next_].dtype).contiguous();
  append(flat.const_data_ptr(), flat.nbytes());
  ++next_;
}

void TensorFileWriter::finish() {
  if (next_ != entries_.size()) {
    throw std::logic_error("tensor file: tensors are missing");
  }
  flush();
  const bool closed = ::close(std::exchange(fd_, -1)) == 0;
  if (!closed || ::rename(beside_.c_str(), path_.c_str()) != 0) {
    const contract::StorageError error = disk_error("finish", path_);
    ::unlink(beside_.c_str());
    throw error;
  }
}

}  // namespace batchscope::train
