#include "app/terminal_text.h"

#include "storage/csv_export.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

namespace batchscope::app {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Finite values of a column as their mean; NaN: none; and whether one was not finite.
struct ColumnMean {
  double mean = kUnknown;
  bool nonfinite = false;
};

ColumnMean mean_of(const std::vector<double>& values, std::size_t begin, std::size_t end) {
  ColumnMean result;
  double sum = 0;
  int count = 0;
  for (std::size_t i = begin; i < end; ++i) {
    if (std::isfinite(values[i])) {
      sum += values[i];
      ++count;
    } else {
      result.nonfinite = true;
    }
  }
  result.mean = count > 0 ? sum / count : kUnknown;
  return result;
}

struct Character {
  char32_t code = 0;
  std::size_t bytes = 0;  // 0: these are no UTF-8
};

Character character_at(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t bytes = lead < 0x80    ? 1
                            : lead >= 0xf0 ? 4
                            : lead >= 0xe0 ? 3
                            : lead >= 0xc0 ? 2
                                           : 0;
  if (bytes == 0 || lead > 0xf4 || bytes > text.size()) {
    return {};
  }
  char32_t code = bytes == 1 ? lead : lead & (0x7fU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0U) != 0x80) {
      return {};
    }
    code = code << 6 | (next & 0x3fU);
  }
  constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const bool half = code >= 0xd800 && code <= 0xdfff;
  return code < kSmallest[bytes] || code > 0x10ffff || half ? Character{} : Character{code, bytes};
}

bool steers_terminal(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x200e || code == 0x200f ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

enum class Form { kField, kLines, kJson };

std::string spelt_out(char32_t code, Form form) {
  std::array<char, 16> text{};
  const bool is_short = code < 0x100 && form != Form::kJson;
  std::snprintf(text.data(), text.size(), is_short ? "\\x%02x" : "\\u%04x", unsigned(code));
  return text.data();
}

std::string made_printable(std::string_view text, Form form) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character one = character_at(text);
    const std::size_t bytes = std::max<std::size_t>(1, one.bytes);
    const bool space = text[0] == '\n' || text[0] == '\t';
    if (space) {
      out += form == Form::kField ? ' ' : text[0];
    } else if (one.bytes == 0 || steers_terminal(one.code)) {
      out += spelt_out(one.bytes == 0 ? static_cast<unsigned char>(text[0]) : one.code, form);
    } else {
      out += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  return out;
}

}  // namespace

std::string printable(std::string_view text) {
  return made_printable(text, Form::kField);
}

std::string printable_lines(std::string_view text) {
  return made_printable(text, Form::kLines);
}

std::string printable_json(std::string_view text) {
  return made_printable(text, Form::kJson);
}

std::string short_number(double value) {
  if (!std::isfinite(value)) {
    return storage::number_text(value);
  }
  constexpr int kDigits = 6;
  std::array<char, 64> text{};
  const auto end = std::to_chars(
      text.data(), text.data() + text.size(), value, std::chars_format::general, kDigits);
  return {text.data(), end.ptr};
}

std::string figure_text(double value) {
  if (value < 0) {
    return "-";
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4f", value);
  return text.data();
}

std::string short_figure(double value) {
  return value < 0 ? "-" : short_number(value);
}

std::string fitted(const std::string& given, std::size_t width) {
  const std::string text = printable(given);
  const auto starts_character = [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  };
  std::size_t characters = 0, keep = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (starts_character(text[i]) && ++characters <= width - 1) {
      keep = i;
    }
  }
  if (characters < width) {
    return text + std::string(width - characters, ' ');
  }
  return text.substr(0, keep) + "… ";
}

std::string bar(double share, int width, bool unicode) {
  const int full = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * width));
  std::string text;
  for (int i = 0; i < width; ++i) {
    text += i < full ? (unicode ? "█" : "#") : (unicode ? "░" : ".");
  }
  return text;
}

std::string sparkline(const std::vector<double>& values, std::size_t columns, bool unicode) {
  static constexpr std::array<const char*, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static constexpr std::array<const char*, 8> kAscii = {"_", ".", "-", "~", "=", "+", "*", "#"};
  columns = std::min(columns, values.size());
  std::vector<ColumnMean> means;
  double low = kUnknown, high = kUnknown;
  for (std::size_t c = 0; c < columns; ++c) {
    means.push_back(
        mean_of(values, c * values.size() / columns, (c + 1) * values.size() / columns));
    low = std::fmin(low, means.back().mean);
    high = std::fmax(high, means.back().mean);
  }
  std::string text;
  for (const ColumnMean& column : means) {
    if (column.nonfinite) {
      text += "!";
      continue;
    }
    const double share = high > low ? (column.mean - low) / (high - low) : 0.5;
    const auto level = static_cast<std::size_t>(std::lround(share * (kBlocks.size() - 1)));
    text += unicode ? kBlocks[level] : kAscii[level];
  }
  return text;
}

}  // namespace batchscope::app
