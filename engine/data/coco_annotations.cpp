#include "engine/data/coco_annotations.h"

#include "engine/contract/error.h"
#include "engine/data/counting_buffer.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <istream>
#include <optional>

namespace batchscope::train {
namespace {

/// One scalar of the file.
struct Scalar {
  enum class Kind { kNull, kBoolean, kNumber, kText } kind = Kind::kNull;
  double number = 0;  // also 0 or 1 of a boolean
  std::int64_t integer = 0;
  bool whole = false;
  const std::string* text = nullptr;
};

/// Receives the values of an instance file and keeps what is needed.
class Handler : public nlohmann::json_sax<nlohmann::json> {
 public:
  Handler(const std::string& path, const CountingBuffer& buffer, CocoAnnotations& out)
      : path_(path), buffer_(buffer), out_(out) {}

  bool null() override { return scalar({}); }
  bool boolean(bool v) override {
    return scalar({Scalar::Kind::kBoolean, v ? 1.0 : 0.0, v ? 1 : 0, true, nullptr});
  }
  bool number_integer(number_integer_t v) override {
    return scalar({Scalar::Kind::kNumber, static_cast<double>(v), v, true, nullptr});
  }
  bool number_unsigned(number_unsigned_t v) override {
    const bool fits = v <= static_cast<number_unsigned_t>(INT64_MAX);
    return scalar({Scalar::Kind::kNumber,
                   static_cast<double>(v),
                   fits ? static_cast<std::int64_t>(v) : 0,
                   fits,
                   nullptr});
  }
  bool number_float(number_float_t v, const string_t& /*text*/) override {
    const bool whole = v == std::floor(v) && std::abs(v) < 9e15;
    return scalar(
        {Scalar::Kind::kNumber, v, whole ? static_cast<std::int64_t>(v) : 0, whole, nullptr});
  }
  bool string(string_t& v) override { return scalar({Scalar::Kind::kText, 0, 0, false, &v}); }
  bool binary(binary_t& /*v*/) override { return true; }
  bool start_object(std::size_t /*size*/) override;
  bool end_object() override;
  bool start_array(std::size_t /*size*/) override;
  bool end_array() override;
  bool key(string_t& v) override {
    if (skipped_ == 0) {
      key_ = v;
    }
    return true;
  }
  bool parse_error(std::size_t /*position*/,
                   const std::string& /*token*/,
                   const nlohmann::detail::exception& e) override {
    buffer_.require_readable();
    std::string detail = e.what();
    // Without the library's own prefix: "[json.exception…] parse error at line…: ".
    const std::size_t start = detail.find("syntax error");
    detail = detail.substr(start != std::string::npos ? start : detail.find("] ") + 2);
    // It may quote bytes that are no UTF-8, which a report could not carry.
    std::replace_if(
        detail.begin(), detail.end(), [](char c) { return (c & 0x80) != 0; }, '?');
    throw contract::DataError("The annotation file '" + path_ + "' is not valid JSON at " +
                              buffer_.place() + ": " + detail.substr(0, 200) + ".");
  }
  /// Checks that the three lists were there.
  void finish() const;

 private:
  enum class Level { kStart, kTop, kList, kEntry, kBox };
  enum List { kImages, kAnnotations, kCategories, kNone };
  static constexpr const char* kNames[] = {"images", "annotations", "categories"};

  [[noreturn]] void fail(const std::string& what) const {
    throw contract::DataError("The annotation file '" + path_ + "', " + buffer_.place() + ": " +
                              what + ".");
  }
  static List list_of(const std::string& name) {
    return static_cast<List>(std::find(kNames, kNames + 3, name) - kNames);
  }
  /// "annotations[17]"
  std::string entry() const {
    return std::string(kNames[list_]) + "[" + std::to_string(count_) + "]";
  }
  [[noreturn]] void mismatch(const char* expected) const {
    fail(entry() + "." + key_ + ": expected " + expected);
  }
  bool scalar(const Scalar& v);
  void field(const Scalar& v);
  std::int64_t integer(const Scalar& v) const {
    if (v.kind != Scalar::Kind::kNumber || !v.whole) {
      mismatch("a whole number");
    }
    return v.integer;
  }
  double number(const Scalar& v) const {
    if (v.kind != Scalar::Kind::kNumber) {
      mismatch("a number");
    }
    return v.number;
  }
  const std::string& text(const Scalar& v) const {
    if (v.kind != Scalar::Kind::kText) {
      mismatch("a text");
    }
    return *v.text;
  }
  void begin_entry();
  void end_entry();
  void need(bool found, const char* name) const {
    if (!found) {
      fail(entry() + " has no " + name);
    }
  }

  const std::string& path_;
  const CountingBuffer& buffer_;
  CocoAnnotations& out_;
  Level level_ = Level::kStart;
  std::size_t skipped_ = 0;  // open brackets of a value that is not needed
  std::string key_;
  List list_ = kNone;
  bool seen_[3] = {false, false, false};
  std::size_t count_ = 0;  // entries of the list before this one
  std::size_t coordinates_ = 0;
  double box_[4] = {0, 0, 0, 0};
  std::optional<std::int64_t> id_, image_id_, category_id_, width_, height_;
  std::optional<double> area_;
  std::optional<std::string> name_;
  bool has_box_ = false, crowd_ = false;
};

bool Handler::start_object(std::size_t /*size*/) {
  if (skipped_ > 0) {
    ++skipped_;
    return true;
  }
  switch (level_) {
    case Level::kStart:
      level_ = Level::kTop;
      break;
    case Level::kTop:
      if (list_of(key_) != kNone) {
        fail("'" + key_ + "' is an object; expected a list");
      }
      skipped_ = 1;
      break;
    case Level::kList:
      level_ = Level::kEntry;
      begin_entry();
      break;
    case Level::kEntry:
      skipped_ = 1;
      break;
    case Level::kBox:
      mismatch("four numbers x, y, width, height");
  }
  return true;
}

bool Handler::end_object() {
  if (skipped_ > 0) {
    --skipped_;
  } else if (level_ == Level::kEntry) {
    end_entry();
    ++count_;
    level_ = Level::kList;
  }
  return true;
}

bool Handler::start_array(std::size_t /*size*/) {
  if (skipped_ > 0) {
    ++skipped_;
    return true;
  }
  switch (level_) {
    case Level::kStart:
      fail("the file is a list; expected an object with images, annotations and categories");
    case Level::kTop:
      list_ = list_of(key_);
      if (list_ == kNone) {
        skipped_ = 1;
      } else {
        seen_[list_] = true;
        count_ = 0;
        level_ = Level::kList;
      }
      break;
    case Level::kList:
      fail(entry() + " is a list; expected an object");
    case Level::kEntry:
      if (list_ == kAnnotations && key_ == "bbox") {
        level_ = Level::kBox;
        coordinates_ = 0;
      } else {
        skipped_ = 1;
      }
      break;
    case Level::kBox:
      mismatch("four numbers x, y, width, height");
  }
  return true;
}

bool Handler::end_array() {
  if (skipped_ > 0) {
    --skipped_;
  } else if (level_ == Level::kBox) {
    if (coordinates_ != 4) {
      mismatch("four numbers x, y, width, height");
    }
    has_box_ = true;
    level_ = Level::kEntry;
  } else if (level_ == Level::kList) {
    level_ = Level::kTop;
  }
  return true;
}

bool Handler::scalar(const Scalar& v) {
  if (skipped_ > 0) {
    return true;
  }
  switch (level_) {
    case Level::kStart:
      fail("expected an object with images, annotations and categories");
    case Level::kTop:
      if (list_of(key_) != kNone) {
        fail("'" + key_ + "' is a single value; expected a list");
      }
      break;
    case Level::kList:
      fail(entry() + " is a single value; expected an object");
    case Level::kEntry:
      field(v);
      break;
    case Level::kBox:
      if (coordinates_ >= 4 || v.kind != Scalar::Kind::kNumber) {
        mismatch("four numbers x, y, width, height");
      }
      box_[coordinates_++] = v.number;
      break;
  }
  return true;
}

void Handler::field(const Scalar& v) {
  if (list_ == kAnnotations) {
    if (key_ == "image_id") {
      image_id_ = integer(v);
    } else if (key_ == "category_id") {
      category_id_ = integer(v);
    } else if (key_ == "bbox") {
      mismatch("four numbers x, y, width, height");
    } else if (key_ == "area" && v.kind != Scalar::Kind::kNull) {
      area_ = number(v);
    } else if (key_ == "iscrowd" && v.kind != Scalar::Kind::kNull) {
      crowd_ = v.kind == Scalar::Kind::kBoolean ? v.number != 0 : integer(v) != 0;
    }
  } else if (key_ == "id") {
    id_ = integer(v);
  } else if (key_ == (list_ == kImages ? "file_name" : "name")) {
    name_ = text(v);
  } else if (list_ == kImages && key_ == "width" && v.kind != Scalar::Kind::kNull) {
    width_ = integer(v);
  } else if (list_ == kImages && key_ == "height" && v.kind != Scalar::Kind::kNull) {
    height_ = integer(v);
  }
}

void Handler::begin_entry() {
  id_ = image_id_ = category_id_ = width_ = height_ = std::nullopt;
  area_.reset();
  name_.reset();
  has_box_ = crowd_ = false;
}

void Handler::end_entry() {
  switch (list_) {
    case kImages:
      need(id_.has_value(), "id");
      need(name_.has_value(), "file_name");
      out_.pictures.push_back({*id_, *name_, width_.value_or(0), height_.value_or(0)});
      break;
    case kAnnotations:
      need(image_id_.has_value(), "image_id");
      need(category_id_.has_value(), "category_id");
      need(has_box_, "bbox");
      out_.objects.push_back({*image_id_,
                              *category_id_,
                              box_[0],
                              box_[1],
                              box_[2],
                              box_[3],
                              area_.value_or(box_[2] * box_[3]),
                              crowd_});
      break;
    default:
      need(id_.has_value(), "id");
      need(name_.has_value(), "name");
      out_.categories.push_back({*id_, *name_});
  }
}

void Handler::finish() const {
  for (int list = 0; list < 3; ++list) {
    if (!seen_[list]) {
      throw contract::DataError("The annotation file '" + path_ + "' has no list '" + kNames[list] +
                                "'; expected a COCO instance file.");
    }
  }
}

}  // namespace

CocoAnnotations read_coco_annotations(const std::string& path) {
  CocoAnnotations annotations;
  CountingBuffer buffer(path);
  std::istream stream(&buffer);
  Handler handler(path, buffer, annotations);
  nlohmann::json::sax_parse(stream, &handler);
  handler.finish();
  annotations.hash = buffer.hash();
  return annotations;
}

}  // namespace batchscope::train
