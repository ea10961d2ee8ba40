#include "engine/contract/error.h"
#include "engine/data/json_reader.h"

#include <algorithm>
#include <cstring>

// Places and sentences of JsonReader.

namespace batchscope::train {

std::string JsonReader::entry() const {
  std::string out;
  for (std::size_t d = 1; d <= depth_; ++d) {
    const Frame& frame = frames_[d];
    if (frame.list) {
      out.append("[").append(std::to_string(frame.index)).append("]");
    } else if (!frame.key.empty()) {
      out.append(out.empty() ? "" : ".").append(frame.key, 0, 60);
    }
  }
  return out;
}

std::string JsonReader::place() const {
  const char* begin = buffer_.data();
  const auto lines = static_cast<std::size_t>(std::count(begin, at_, '\n'));
  const auto read = static_cast<std::size_t>(at_ - begin);
  const auto* newline = static_cast<const char*>(memrchr(begin, '\n', read));
  const std::size_t column =
      lines > 0 ? static_cast<std::size_t>(at_ - newline) - 1 : column_before_ + read;
  return "line " + std::to_string(lines_before_ + lines + 1) + ", column " +
         std::to_string(column) + " (byte " + std::to_string(bytes_before_ + read) + ")";
}

void JsonReader::fail(const std::string& sentence) const {
  const std::string where = entry();
  throw contract::DataError(what_ + " '" + path_ + "', " + place() + ": " +
                            (where.empty() ? "" : where + ": ") + sentence + ".");
}

void JsonReader::need(bool there, const char* field) const {
  if (!there) {
    fail(std::string("no ") + field);
  }
}

void JsonReader::expected(const std::string& what) const {
  fail("expected " + what);
}

void JsonReader::invalid(const std::string& detail) const {
  throw contract::DataError(what_ + " '" + path_ + "' is not valid JSON at " + place() + ": " +
                            detail + ".");
}

}  // namespace batchscope::train
