#include "engine/data/json_reader.h"

#include "engine/contract/error.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

namespace batchscope::train {
namespace {

constexpr std::size_t kChunk = std::size_t{256} << 10;
constexpr std::size_t kDeepest = 200;
constexpr double kExact = 9e15;  // whole numbers above are not kept by doubles

}  // namespace

JsonReader::JsonReader(std::string path, std::string what)
    : path_(std::move(path)),
      what_(std::move(what)),
      file_(std::fopen(path_.c_str(), "rb"), &std::fclose),
      buffer_(kChunk),
      at_(buffer_.data()),
      end_(buffer_.data()),
      frames_(1) {
  if (!file_) {
    throw contract::DataError(what_ + " '" + path_ + "' cannot be opened: " + std::strerror(errno) +
                              ".");
  }
  skip_mark();
}

/// Tools of Windows begin texts with a byte order mark.
void JsonReader::skip_mark() {
  ensure(3);
  const std::string_view begin(at_, static_cast<std::size_t>(end_ - at_));
  if (begin.starts_with("\xff\xfe") || begin.starts_with("\xfe\xff")) {
    throw contract::DataError(what_ + " '" + path_ + "' is UTF-16; expected UTF-8.");
  }
  at_ += begin.starts_with("\xef\xbb\xbf") ? 3 : 0;
}

bool JsonReader::ensure(std::size_t count) {
  const auto left = static_cast<std::size_t>(end_ - at_);
  if (left >= count || ended_) {
    return left >= count;
  }
  const char* begin = buffer_.data();
  const auto gone = static_cast<std::size_t>(at_ - begin);
  const auto lines = static_cast<std::size_t>(std::count(begin, at_, '\n'));
  const auto* newline = static_cast<const char*>(memrchr(begin, '\n', gone));
  column_before_ = lines > 0 ? static_cast<std::size_t>(at_ - newline) - 1 : column_before_ + gone;
  lines_before_ += lines;
  bytes_before_ += gone;
  std::memmove(buffer_.data(), at_, left);
  std::size_t have = left;
  while (have < buffer_.size()) {
    const std::size_t n = std::fread(buffer_.data() + have, 1, buffer_.size() - have, file_.get());
    if (n == 0) {
      ended_ = true;
      break;
    }
    hash_ = fnv1a(buffer_.data() + have, n, hash_);
    have += n;
  }
  if (std::ferror(file_.get()) != 0) {
    throw contract::DataError(what_ + " '" + path_ + "' cannot be read: " + std::strerror(errno) +
                              ".");
  }
  at_ = buffer_.data();
  end_ = at_ + have;
  return have >= count;
}

int JsonReader::look() {
  for (;;) {
    for (; at_ != end_; ++at_) {
      if (*at_ != ' ' && *at_ != '\n' && *at_ != '\t' && *at_ != '\r') {
        return static_cast<unsigned char>(*at_);
      }
    }
    if (!ensure(1)) {
      return -1;
    }
  }
}

JsonReader::Type JsonReader::next() {
  switch (look()) {
    case '{':
      return Type::kObject;
    case '[':
      return Type::kList;
    case '"':
      return Type::kText;
    case 't':
    case 'f':
      return Type::kBoolean;
    case 'n':
      return Type::kNull;
    case -1:
      invalid("unexpected end of input");
    default:
      return Type::kNumber;
  }
}

void JsonReader::open(bool list) {
  ++at_;
  if (++depth_ > kDeepest) {
    invalid("brackets nested more than " + std::to_string(kDeepest) + " deep");
  }
  if (frames_.size() <= depth_) {
    frames_.emplace_back();
  }
  Frame& frame = frames_[depth_];
  frame.list = list;
  frame.first = true;
  frame.index = 0;
  frame.key.clear();
}

void JsonReader::begin_object() {
  if (next() != Type::kObject) {
    expected("an object");
  }
  open(false);
}

void JsonReader::begin_list() {
  if (next() != Type::kList) {
    expected("a list");
  }
  open(true);
}

bool JsonReader::more(char close) {
  Frame& frame = frames_[depth_];
  const int c = look();
  if (c == close) {
    ++at_;
    --depth_;
    return false;
  }
  if (frame.first) {
    frame.first = false;
    return true;
  }
  if (c != ',') {
    invalid(c == -1 ? "unexpected end of input"
                    : std::string("expected ',' or '") + close + "' after a value");
  }
  ++at_;
  ++frame.index;
  if (look() == close) {
    invalid("a comma before the closing bracket");
  }
  return true;
}

bool JsonReader::key(std::string_view& name) {
  if (!more('}')) {
    return false;
  }
  if (look() != '"') {
    invalid(look() == -1 ? "unexpected end of input" : "expected a key in quotes");
  }
  Frame& frame = frames_[depth_];
  frame.key = string();
  name = frame.key;
  if (look() != ':') {
    invalid("expected ':' after a key");
  }
  ++at_;
  return true;
}

bool JsonReader::item() {
  return more(']');
}

double JsonReader::any_number() {
  if (next() != Type::kNumber) {
    expected("a number");
  }
  return parse_number().value;
}

double JsonReader::number() {
  const double value = any_number();
  if (!std::isfinite(value)) {
    expected("a finite number");
  }
  return value;
}

std::int64_t JsonReader::integer() {
  const Type type = next();
  if (type == Type::kText) {
    constexpr std::size_t kShown = 60;
    ensure(kShown + 2);
    const std::string_view text(at_ + 1, static_cast<std::size_t>(end_ - at_) - 1);
    expected("a whole number, found the text '" +
             std::string(text.substr(0, std::min(text.find('"'), kShown))) + "'");
  }
  if (type != Type::kNumber) {
    expected("a whole number" + std::string(type == Type::kNull ? ", found null" : ""));
  }
  const Number n = parse_number();
  if (!n.whole) {
    expected(std::abs(n.value) < kExact || n.value != std::floor(n.value)
                 ? "a whole number"
                 : "a whole number of at most 18 digits");
  }
  return n.integer;
}

std::string_view JsonReader::text() {
  if (next() != Type::kText) {
    expected("a text");
  }
  return string();
}

bool JsonReader::flag() {
  if (null()) {
    return false;
  }
  if (next() != Type::kBoolean) {
    return integer() != 0;
  }
  const bool value = *at_ == 't';
  literal(value ? "true" : "false");
  return value;
}

bool JsonReader::null() {
  if (next() != Type::kNull) {
    return false;
  }
  literal("null");
  return true;
}

void JsonReader::skip() {
  const std::size_t base = depth_;
  std::string_view name;
  do {
    switch (next()) {
      case Type::kObject:
        open(false);
        break;
      case Type::kList:
        open(true);
        break;
      case Type::kText:
        string();
        break;
      case Type::kNumber:
        parse_number();
        break;
      default:
        flag();
    }
    while (depth_ > base && !(frames_[depth_].list ? item() : key(name))) {
    }
  } while (depth_ > base);
}

void JsonReader::finish() {
  if (look() != -1) {
    invalid("something follows after the end");
  }
}

}  // namespace batchscope::train
