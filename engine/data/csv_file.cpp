#include "engine/data/csv_file.h"

#include "engine/contract/error.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace batchscope::train {
namespace {

// A quote that is never closed must not take the rest of the file for a field.
constexpr std::size_t kMaxQuoted = std::size_t{1} << 20;

/// Adds a line's text to the fields, the last of which is open; `quoted`: between quotes, before
/// and after.
void add_line(const std::string& line, std::vector<std::string>& fields, bool& quoted) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += line[i++];
    } else if (c == '"' && (quoted || fields.back().empty())) {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
}

}  // namespace

CsvFile::CsvFile(std::string path, std::string what)
    : path_(std::move(path)), what_(std::move(what)), in_(path_) {
  if (!in_) {
    throw contract::DataError(what_ + " '" + path_ + "' cannot be opened.");
  }
}

void CsvFile::fail(const std::string& sentence) const {
  throw contract::DataError(what_ + " '" + path_ + "', line " + std::to_string(line_) + ": " +
                            sentence + ".");
}

bool CsvFile::next() {
  fields_.assign(1, {});
  bool quoted = false;
  for (std::string line; std::getline(in_, line);) {
    ++read_;
    if (read_ == 1 && line.starts_with("\xef\xbb\xbf")) {
      line.erase(0, 3);  // a byte order mark
    }
    const bool carriage = line.ends_with('\r');
    line.resize(line.size() - (carriage ? 1 : 0));
    if (!quoted) {
      line_ = read_;
      if (line.find_first_not_of(" \t") == std::string::npos) {
        continue;
      }
    }
    add_line(line, fields_, quoted);
    if (!quoted) {
      return true;
    }
    fields_.back() += carriage ? "\r\n" : "\n";
    if (fields_.back().size() > kMaxQuoted) {
      break;
    }
  }
  if (in_.bad()) {
    throw contract::DataError(what_ + " '" + path_ + "' cannot be read.");
  }
  if (quoted) {
    fail("a quote is not closed");
  }
  return false;
}

void CsvFile::read_header(const std::vector<std::string>& needed) {
  if (!next()) {
    throw contract::DataError(what_ + " '" + path_ + "' is empty.");
  }
  header_ = fields_;
  for (const std::string& name : needed) {
    if (!has(name)) {
      std::string found;
      for (const std::string& column : header_) {
        found += (found.empty() ? "" : ", ") + column;
      }
      fail("expected a column '" + name + "', found: " + found.substr(0, 200));
    }
  }
}

bool CsvFile::has(std::string_view column) const {
  return std::find(header_.begin(), header_.end(), column) != header_.end();
}

const std::string& CsvFile::text(std::string_view column) const {
  if (fields_.size() != header_.size()) {
    fail("expected " + std::to_string(header_.size()) + " fields, found " +
         std::to_string(fields_.size()));
  }
  const auto at = std::find(header_.begin(), header_.end(), column) - header_.begin();
  return fields_[static_cast<std::size_t>(at)];
}

double CsvFile::number(std::string_view column) const {
  const std::string& field = text(column);
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc() || end != field.data() + field.size() || !std::isfinite(value)) {
    fail(std::string(column) + ": expected a number, found '" + field.substr(0, 40) + "'");
  }
  return value;
}

bool CsvFile::flag(std::string_view column) const {
  const std::string& field = text(column);
  if (field != "0" && field != "1" && field != "-1") {
    fail(std::string(column) + ": expected 0, 1 or -1, found '" + field.substr(0, 40) + "'");
  }
  return field == "1";
}

}  // namespace batchscope::train
