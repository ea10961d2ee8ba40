#include "models/weights/safetensors_parser.h"

#include "models/weights/byte_reader.h"
#include "models/weights/weight_error.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace batchscope::models {
namespace {

using nlohmann::json;

constexpr const char* kMetadataKey = "__metadata__";
constexpr const char* kNoObject = "has a header that is not a JSON object";

/// The characters of a header. It bounds what the library keeps as a whole before it tells anyone:
/// a string or a number, and the blanks before it.
class HeaderText {
 public:
  HeaderText(ByteReader reader, std::size_t longest)
      : reader_(std::move(reader)), longest_(longest) {
    next();
  }
  bool ended() const { return ended_; }
  char now() const { return now_; }
  void next() {
    ended_ = reader_.left() == 0;
    if (ended_) {
      return;
    }
    now_ = static_cast<char>(reader_.byte());
    const bool quote = now_ == '"' && !escaped_;
    escaped_ = inside_ && now_ == '\\' && !escaped_;
    inside_ = inside_ != quote;
    const bool parts = !inside_ && std::string_view("{}[],:").find(now_) != std::string_view::npos;
    length_ = quote || parts ? 0 : length_ + 1;
    if (length_ > longest_) {
      refuse_file(reader_.source().origin(),
                  "has a value of more than " + std::to_string(longest_) + " bytes in its header");
    }
  }

 private:
  ByteReader reader_;
  std::size_t longest_, length_ = 0;
  char now_ = '\0';
  bool ended_ = false, inside_ = false, escaped_ = false;
};

/// HeaderText for the library; one that has none is the end.
class HeaderIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  explicit HeaderIterator(HeaderText* text = nullptr) : text_(text) {}
  char operator*() const { return text_->now(); }
  HeaderIterator& operator++() {
    text_->next();
    return *this;
  }
  bool operator==(const HeaderIterator& other) const { return over() == other.over(); }

 private:
  bool over() const { return text_ == nullptr || text_->ended(); }
  HeaderText* text_;
};

/// The events of the library's parser, by where they stand: names of tensors at depth 1, what is
/// said about one at 2, numbers in its lists at 3.
class HeaderReader : public json::json_sax_t {
 public:
  HeaderReader(const std::string& origin, const HeaderLimits& limits)
      : origin_(origin), limits_(limits) {}

  bool null() override { return other(); }
  bool boolean(bool /*value*/) override { return other(); }
  bool number_integer(number_integer_t /*value*/) override { return other(); }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return other(); }
  bool binary(binary_t& /*value*/) override { return other(); }
  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != 3 || list_ == nullptr) {
      return other();
    }
    if (list_->size() >= limits_.dimensions) {
      refuse("has a list of more than " + std::to_string(limits_.dimensions) + " numbers for " +
             tensor());
    }
    list_->push_back(value);
    return true;
  }
  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) {
      result.metadata[key_] = std::move(value);
    } else if (depth_ == 2 && key_ == "dtype") {
      dtype_ = std::move(value);
    } else {
      return other();
    }
    return true;
  }
  bool start_object(std::size_t /*elements*/) override {
    if (depth_ == 2 || depth_ == 3) {
      other();
    }
    enter();
    if (depth_ == 2 && !in_metadata_) {
      dtype_.reset();
      shape_.reset();
      offsets_.reset();
    }
    return true;
  }
  bool end_object() override {
    if (depth_-- == 2 && !std::exchange(in_metadata_, false)) {
      add_tensor();
    }
    return true;
  }
  bool start_array(std::size_t /*elements*/) override {
    std::optional<Numbers>* numbers = depth_ != 2 || in_metadata_ ? nullptr
                                      : key_ == "shape"           ? &shape_
                                      : key_ == "data_offsets"    ? &offsets_
                                                                  : nullptr;
    if (numbers != nullptr) {
      list_ = &numbers->emplace();
    } else {
      other();
    }
    enter();
    return true;
  }
  bool end_array() override {
    if (--depth_ == 2) {
      list_ = nullptr;
    }
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ == 1) {
      begin_entry(name);
    } else if (depth_ == 2) {
      key_ = std::move(name);
      const bool twice = key_ == "dtype"          ? dtype_.has_value()
                         : key_ == "shape"        ? shape_.has_value()
                         : key_ == "data_offsets" ? offsets_.has_value()
                                                  : false;
      if (!in_metadata_ && twice) {
        refuse("gives " + tensor() + " " + shown(key_) + " twice");
      }
      if (in_metadata_ && result.metadata.size() >= limits_.metadata) {
        refuse("has more than " + std::to_string(limits_.metadata) + " entries of metadata");
      }
    }
    return true;
  }
  bool parse_error(std::size_t /*place*/,
                   const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

  SafetensorsHeader result;

 private:
  using Numbers = std::vector<std::uint64_t>;

  [[noreturn]] void refuse(const std::string& why) const { refuse_file(origin_, why); }
  std::string tensor() const { return "tensor " + shown(name_); }

  void enter() {
    if (++depth_ > limits_.depth) {
      refuse("has a header with more than " + std::to_string(limits_.depth) +
             " objects and lists inside one another");
    }
  }

  /// A value, or the beginning of one, that is not what the format has there.
  bool other() const {
    if (depth_ == 0) {
      refuse(kNoObject);
    }
    if (depth_ == 1) {
      refuse(in_metadata_ ? "has metadata that is not a JSON object"
                          : "has no dtype for " + tensor());
    }
    if (in_metadata_ && depth_ == 2) {
      refuse("has metadata " + shown(key_) + " that is not a string");
    }
    if (depth_ == 2 && key_ == "dtype") {
      refuse("has no dtype for " + tensor());
    }
    // Behind a list's brackets key_ is still the list's.
    if (list_ != nullptr || (depth_ == 2 && (key_ == "shape" || key_ == "data_offsets"))) {
      refuse_list(key_ == "data_offsets");
    }
    return true;  // a key that the format does not have
  }

  [[noreturn]] void refuse_list(bool offsets) const {
    refuse((offsets ? "has no pair of data_offsets [begin, end] for "
                    : "has no shape of whole numbers for ") +
           tensor());
  }

  void begin_entry(string_t& name) {
    if (!names_.insert(name).second) {
      refuse("names tensor " + shown(name) + " twice");
    }
    if (names_.size() > limits_.tensors) {
      refuse("has a header of more than " + std::to_string(limits_.tensors) + " tensors");
    }
    in_metadata_ = name == kMetadataKey;
    name_ = std::move(name);
  }

  void add_tensor() {
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (!dtype_) {
      refuse("has no dtype for " + tensor());
    }
    const auto type = type_of_name(*dtype_);
    if (!type) {
      refuse("has " + tensor() + " of dtype " + shown(*dtype_) + ", expected one of " +
             type_names());
    }
    if (!shape_ || std::ranges::any_of(*shape_, [](std::uint64_t side) { return side > kMost; })) {
      refuse_list(false);
    }
    if (!offsets_ || offsets_->size() != 2 || (*offsets_)[0] > (*offsets_)[1]) {
      refuse_list(true);
    }
    DescribedTensor found{
        {name_, *type, {shape_->begin(), shape_->end()}, {}}, (*offsets_)[0], (*offsets_)[1]};
    const auto count = element_count(found.entry.shape, *type);
    const std::uint64_t bytes = found.end - found.begin;
    if (!count || *count * element_size(*type) != bytes) {
      refuse("gives " + tensor() + " " + std::to_string(bytes) +
             " bytes, its shape and dtype need " +
             (count ? std::to_string(*count * element_size(*type)) : "more than there can be"));
    }
    found.entry.strides = contiguous_strides(found.entry.shape);
    result.tensors.push_back(std::move(found));
  }

  const std::string& origin_;
  const HeaderLimits& limits_;
  std::size_t depth_ = 0;
  std::unordered_set<std::string> names_;
  std::string name_, key_;  // at depths 1 and 2
  bool in_metadata_ = false;
  std::optional<std::string> dtype_;
  std::optional<Numbers> shape_, offsets_;
  Numbers* list_ = nullptr;  // shape_ or offsets_ while inside
};

}  // namespace

SafetensorsHeader parse_safetensors(const ByteSource& source,
                                    std::uint64_t begin,
                                    std::uint64_t end,
                                    const HeaderLimits& limits) {
  HeaderText text(ByteReader(source, begin, end, "header"), limits.text);
  HeaderReader reader(source.origin(), limits);
  if (!json::sax_parse(HeaderIterator(&text), HeaderIterator(), &reader)) {
    refuse_file(source.origin(), kNoObject);
  }
  return std::move(reader.result);
}

}  // namespace batchscope::models
