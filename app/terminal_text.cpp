#include "app/terminal_text.h"

#include "storage/csv_export.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
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

}  // namespace

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

std::string fitted(const std::string& text, std::size_t width) {
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
