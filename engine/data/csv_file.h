#pragma once

#include <cstddef>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace batchscope::train {

/// A file of comma-separated values read row by row, as RFC 4180 has them: fields may be in double
/// quotes (a doubled one inside is one), where commas and line breaks are text. Blank lines are
/// skipped; a quote within a field that began without one is text. Errors are contract::DataError
/// naming the file, the row's first line and the column. One thread.
class CsvFile {
 public:
  /// `what` begins the sentences: "The boxes file". Throws when the file cannot be opened.
  CsvFile(std::string path, std::string what);
  /// The next row; false: there is none. Throws for a quote that is not closed within a mebibyte.
  bool next();
  const std::vector<std::string>& fields() const { return fields_; }

  /// Takes the next row for the names of the columns. Throws where one of `needed` is missing.
  void read_header(const std::vector<std::string>& needed);
  bool has(std::string_view column) const;
  /// Of the present row, by the name of its column. Throws where the row has another number of
  /// fields than the header.
  const std::string& text(std::string_view column) const;
  double number(std::string_view column) const;
  /// 1 or 0; -1 (not known) is 0.
  bool flag(std::string_view column) const;
  [[noreturn]] void fail(const std::string& sentence) const;

 private:
  std::string path_, what_;
  std::ifstream in_;
  std::size_t line_ = 0, read_ = 0;  // of the row's begin; lines read so far
  std::vector<std::string> header_, fields_;
};

}  // namespace batchscope::train
