#include "models/weights/safetensors_header.h"

#include "models/weights/weight_error.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>
#include <unordered_set>

namespace batchscope::models {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kLongestHeader = 100'000'000;  // the format's own bound
constexpr std::size_t kMostDimensions = 64;
constexpr const char* kMetadata = "__metadata__";

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
    refuse_file(origin, "has a header that is not a JSON object");
  }
  if (!names.twice.empty()) {
    refuse_file(origin, "names tensor " + shown(names.twice) + " twice");
  }
  json object = json::parse(header, nullptr, false);
  if (!object.is_object()) {
    refuse_file(origin, "has a header that is not a JSON object");
  }
  return object;
}

/// The list of non-negative whole numbers at `key`; nullopt if it is anything else.
std::optional<std::vector<std::uint64_t>> numbers_at(const json& entry, const char* key) {
  if (!entry.contains(key) || !entry[key].is_array() || entry[key].size() > kMostDimensions) {
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

struct Described {
  WeightEntry entry;
  std::uint64_t begin = 0, end = 0;  // in the data
};

Described read_entry(const std::string& name, const json& entry, const std::string& origin) {
  const std::string tensor = "tensor " + shown(name);
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string()) {
    refuse_file(origin, "has no dtype for " + tensor);
  }
  const auto type = type_of_name(entry["dtype"].get<std::string>());
  if (!type) {
    refuse_file(origin,
                "has " + tensor + " of dtype " + shown(entry["dtype"].get<std::string>()) +
                    ", expected one of F64, F32, F16, BF16, I64, I32, I16, I8, U8 and BOOL");
  }
  const auto shape = numbers_at(entry, "shape"), offsets = numbers_at(entry, "data_offsets");
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!shape || std::ranges::any_of(*shape, [](std::uint64_t side) { return side > kMost; })) {
    refuse_file(origin, "has no shape of whole numbers for " + tensor);
  }
  if (!offsets || offsets->size() != 2 || (*offsets)[0] > (*offsets)[1]) {
    refuse_file(origin, "has no pair of data_offsets [begin, end] for " + tensor);
  }
  Described found{{name, *type, {shape->begin(), shape->end()}, {}}, (*offsets)[0], (*offsets)[1]};
  const auto count = element_count(found.entry.shape, *type);
  if (!count || *count * element_size(*type) != found.end - found.begin) {
    refuse_file(origin,
                "gives " + tensor + " " + std::to_string(found.end - found.begin) +
                    " bytes, its shape and dtype need " +
                    (count ? std::to_string(*count * element_size(*type))
                           : std::string("more than there can be")));
  }
  found.entry.strides = contiguous_strides(found.entry.shape);
  return found;
}

std::map<std::string, std::string> read_metadata(const json& entry, const std::string& origin) {
  if (!entry.is_object()) {
    refuse_file(origin, "has metadata that is not a JSON object");
  }
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : entry.items()) {
    if (!value.is_string()) {
      refuse_file(origin, "has metadata " + shown(key) + " that is not a string");
    }
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

/// In the order of the data, which they cover exactly.
void check_layout(std::vector<Described>& found,
                  std::uint64_t data_bytes,
                  const std::string& origin) {
  std::ranges::sort(found, [](const Described& a, const Described& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  if (!found.empty() && found.back().end > data_bytes) {
    refuse_file(origin,
                "is truncated or damaged: tensor " + shown(found.back().entry.name) +
                    " ends at byte " + std::to_string(found.back().end) +
                    " of the data, which has " + std::to_string(data_bytes) + " bytes");
  }
  std::uint64_t reached = 0;
  for (const Described& one : found) {
    if (one.begin != reached) {
      refuse_file(origin,
                  "is damaged: tensor " + shown(one.entry.name) + " begins at byte " +
                      std::to_string(one.begin) + " of the data, expected " +
                      std::to_string(reached) +
                      (one.begin < reached ? " (it overlaps another)" : " (there is a gap)"));
    }
    reached = one.end;
  }
  if (reached != data_bytes) {
    refuse_file(origin,
                "is damaged: its tensors have " + std::to_string(reached) + " bytes, its data " +
                    std::to_string(data_bytes));
  }
}

/// A checkpoint of a run holds more than the model; the model is what others want.
void keep_model(WeightIndex& index) {
  const auto format = index.metadata.find("format");
  if (format == index.metadata.end() || !format->second.starts_with("batchscope-state-")) {
    return;
  }
  const std::string prefix = "model/";
  std::vector<WeightEntry> kept;
  std::map<std::string, int> others;
  for (WeightEntry& entry : index.entries) {
    if (entry.name.starts_with(prefix)) {
      entry.name.erase(0, prefix.size());
      kept.push_back(std::move(entry));
    } else {
      ++others[entry.name.substr(0, entry.name.find('/'))];
    }
  }
  for (const auto& [name, count] : others) {
    index.others.push_back(name + ": " + std::to_string(count) + " tensors");
  }
  index.entries = std::move(kept);
  index.path = "model";
  index.metadata = {*format};
}

/// The checked length of the header.
std::uint64_t header_bytes(const ByteSource& source) {
  if (source.size() < kLengthBytes) {
    refuse_file(source.origin(), "is neither .pth nor .safetensors: it is too short");
  }
  const auto length = little_endian<std::uint64_t>(source.text(0, kLengthBytes).data());
  if (length > kLongestHeader) {
    refuse_file(source.origin(),
                "is neither .pth nor .safetensors: its header would have " +
                    std::to_string(length) + " bytes, at most " + std::to_string(kLongestHeader) +
                    " are allowed");
  }
  if (length > source.size() - kLengthBytes) {
    refuse_file(source.origin(),
                "is truncated: its header needs " + std::to_string(kLengthBytes + length) +
                    " bytes, the file has " + std::to_string(source.size()));
  }
  return length;
}

}  // namespace

WeightIndex index_safetensors(const ByteSource& source) {
  const std::uint64_t length = header_bytes(source);
  const json object = parse_json(source.text(kLengthBytes, length), source.origin());
  WeightIndex index;
  std::vector<Described> found;
  for (const auto& [name, entry] : object.items()) {
    if (name == kMetadata) {
      index.metadata = read_metadata(entry, source.origin());
    } else {
      found.push_back(read_entry(name, entry, source.origin()));
    }
  }
  const std::uint64_t data = kLengthBytes + length;
  check_layout(found, source.size() - data, source.origin());
  for (Described& one : found) {
    one.entry.storage = static_cast<std::uint32_t>(index.storages.size());
    index.storages.push_back({data + one.begin, one.end - one.begin});
    index.entries.push_back(std::move(one.entry));
  }
  keep_model(index);
  return index;
}

std::string safetensors_header(const std::vector<TensorSpec>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) {
    header[kMetadata] = metadata;
  }
  std::uint64_t place = 0;
  for (const TensorSpec& tensor : tensors) {
    const std::uint64_t end =
        place + element_count(tensor.shape, tensor.type).value() * element_size(tensor.type);
    const bool is_new = header
                            .emplace(tensor.name,
                                     json{{"dtype", type_name(tensor.type)},
                                          {"shape", tensor.shape},
                                          {"data_offsets", {place, end}}})
                            .second;
    if (!is_new) {
      throw std::invalid_argument("safetensors: tensor " + shown(tensor.name) + " stands twice");
    }
    place = end;
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  std::string bytes(kLengthBytes, '\0');
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    bytes[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  }
  return bytes + text;
}

}  // namespace batchscope::models
