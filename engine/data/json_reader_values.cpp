#include "engine/data/json_reader.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <system_error>

// Numbers and texts of JsonReader.

namespace batchscope::train {
namespace {

constexpr std::size_t kLongestNumber = 1024;

// Exact as doubles: a mantissa below 2^53 times or over one of them is rounded once, as it should.
constexpr std::array<double, 23> kTen = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                         1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                         1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// A number as it is written.
struct Written {
  bool negative = false, plain = true;  // plain: neither fraction nor exponent
  std::uint64_t mantissa = 0;
  int digits = 0;  // in the mantissa, without leading zeros
  std::int64_t exponent = 0;
  bool valid = false;

  const char* digit_run(const char* at, const char* end, bool fraction) {
    for (; at != end && is_digit(*at); ++at) {
      digits += mantissa != 0 || *at != '0' ? 1 : 0;
      if (digits <= 18) {
        mantissa = mantissa * 10 + static_cast<std::uint64_t>(*at - '0');
      }
      exponent -= fraction ? 1 : 0;
    }
    return at;
  }
  const char* scale(const char* at, const char* end) {
    ++at;
    const bool down = at != end && *at == '-';
    at += at != end && (*at == '-' || *at == '+') ? 1 : 0;
    const char* begin = at;
    std::int64_t power = 0;
    for (; at != end && is_digit(*at); ++at) {
      power = power < 100000 ? power * 10 + (*at - '0') : power;
    }
    valid = at != begin;
    exponent += down ? -power : power;
    return at;
  }
  /// Returns where it ends.
  const char* scan(const char* at, const char* end) {
    negative = at != end && *at == '-';
    at += negative ? 1 : 0;
    const char* begin = at;
    at = digit_run(at, end, false);
    valid = at != begin && (*begin != '0' || at == begin + 1);
    if (at != end && *at == '.') {
      plain = false;
      const char* point = at + 1;
      at = digit_run(point, end, true);
      valid = valid && at != point;
    }
    if (at != end && (*at == 'e' || *at == 'E') && valid) {
      plain = false;
      at = scale(at, end);
    }
    return at;
  }
};

const char* plain_text_end(const char* at, const char* end) {
  while (at != end && static_cast<unsigned char>(*at) >= 0x20 &&
         static_cast<unsigned char>(*at) < 0x80 && *at != '"' && *at != '\\') {
    ++at;
  }
  return at;
}

bool valid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t more = lead < 0x80   ? 0
                             : lead < 0xc2 ? 4
                             : lead < 0xe0 ? 1
                             : lead < 0xf0 ? 2
                                           : 3;
    if (more == 4 || lead > 0xf4 || i + more >= text.size()) {
      return false;
    }
    unsigned code = more == 0 ? lead : lead & (0x3fU >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0) != 0x80) {
        return false;
      }
      code = code << 6 | (next & 0x3fU);
    }
    const unsigned least = more == 2 ? 0x800 : more == 3 ? 0x10000 : 0;
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      return false;
    }
    i += more + 1;
  }
  return true;
}

void append_utf8(std::string& out, unsigned code) {
  const auto put = [&out](unsigned byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

}  // namespace

JsonReader::Number JsonReader::parse_special() {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (*at_ == 'N') {
    literal("NaN");
    return {std::numeric_limits<double>::quiet_NaN(), 0, false};
  }
  const bool negative = *at_ == '-';
  literal(negative ? "-Infinity" : "Infinity");
  return {negative ? -kInfinity : kInfinity, 0, false};
}

JsonReader::Number JsonReader::parse_number() {
  ensure(kLongestNumber);
  const bool minus = *at_ == '-' && end_ - at_ > 1;
  if (*at_ == 'N' || *at_ == 'I' || (minus && at_[1] == 'I')) {
    return parse_special();
  }
  Written w;
  const char* stop = w.scan(at_, end_);
  if (!w.valid || (stop == end_ && !ended_)) {
    invalid(stop == end_ && !ended_ ? "a number of more than 1024 characters"
            : stop == end_          ? "unexpected end of input"
                                    : "expected a value");
  }
  Number n;
  const auto mantissa = static_cast<double>(w.mantissa);
  if (w.digits <= 18 && w.mantissa <= (std::uint64_t{1} << 53) && w.exponent >= -22 &&
      w.exponent <= 22) {
    const double v = w.exponent < 0 ? mantissa / kTen[static_cast<std::size_t>(-w.exponent)]
                                    : mantissa * kTen[static_cast<std::size_t>(w.exponent)];
    n.value = w.negative ? -v : v;
  } else {
    const auto result = std::from_chars(at_, stop, n.value);
    if (result.ec == std::errc::result_out_of_range) {
      if (w.exponent + w.digits > 0) {
        invalid("number overflow");
      }
      n.value = w.negative ? -0.0 : 0.0;
    }
  }
  if (w.plain && w.digits <= 18) {
    n.whole = true;
    n.integer = static_cast<std::int64_t>(w.mantissa) * (w.negative ? -1 : 1);
  } else if (w.plain) {
    n.whole = std::from_chars(at_, stop, n.integer).ec == std::errc();
  } else if (w.digits <= 18 && w.exponent >= 0 && w.exponent <= 18) {
    std::int64_t power = 1;
    for (std::int64_t i = 0; i < w.exponent; ++i) {
      power *= 10;
    }
    const auto size = static_cast<std::int64_t>(w.mantissa);
    n.whole = !__builtin_mul_overflow(w.negative ? -size : size, power, &n.integer);
  } else if (n.value == std::floor(n.value) && std::abs(n.value) < 9e15) {
    n.whole = true;
    n.integer = static_cast<std::int64_t>(n.value);
  }
  at_ = stop;
  return n;
}

void JsonReader::literal(std::string_view word) {
  if (!ensure(word.size()) || std::memcmp(at_, word.data(), word.size()) != 0) {
    invalid("expected " + std::string(word));
  }
  at_ += word.size();
}

std::string_view JsonReader::string() {
  ++at_;
  ensure(kLongestNumber);
  const char* stop = plain_text_end(at_, end_);
  if (stop != end_ && *stop == '"') {
    const std::string_view view(at_, static_cast<std::size_t>(stop - at_));
    at_ = stop + 1;
    return view;
  }
  scratch_.clear();
  bool foreign = false;
  while (!(ensure(1) && *at_ == '"')) {
    string_piece(foreign);
  }
  ++at_;
  if (foreign && !valid_utf8(scratch_)) {
    invalid("a text with an ill-formed UTF-8 byte");
  }
  return scratch_;
}

void JsonReader::string_piece(bool& foreign) {
  if (at_ == end_) {
    invalid("unexpected end of input inside a text");
  }
  const auto c = static_cast<unsigned char>(*at_);
  if (c < 0x20) {
    invalid("a control character inside a text");
  }
  if (c == '\\') {
    escape();
  } else if (c >= 0x80) {
    foreign = true;
    scratch_.push_back(*at_++);
  } else {
    const char* stop = plain_text_end(at_, end_);
    scratch_.append(at_, stop);
    at_ = stop;
  }
}

void JsonReader::escape() {
  if (!ensure(2)) {
    invalid("unexpected end of input inside a text");
  }
  constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
  const std::size_t which = kNames.find(at_[1]);
  if (which != std::string_view::npos) {
    at_ += 2;
    scratch_.push_back(kValues[which]);
    return;
  }
  unsigned code = hex4();
  if (code >= 0xd800 && code < 0xdc00) {
    const unsigned low = hex4();
    if (low < 0xdc00 || low > 0xdfff) {
      invalid("half of a surrogate pair inside a text");
    }
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  } else if (code >= 0xdc00 && code < 0xe000) {
    invalid("half of a surrogate pair inside a text");
  }
  append_utf8(scratch_, code);
}

unsigned JsonReader::hex4() {
  unsigned code = 0;
  const bool there = ensure(6) && at_[0] == '\\' && at_[1] == 'u';
  if (!there || std::from_chars(at_ + 2, at_ + 6, code, 16).ptr != at_ + 6) {
    invalid("a broken escape inside a text");
  }
  at_ += 6;
  return code;
}

}  // namespace batchscope::train
