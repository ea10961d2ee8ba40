#include "storage/run_identity.h"

#include "engine/contract/run_spec.h"
#include "storage/migrations.h"
#include "storage/run_files.h"
#include "storage/sqlite.h"

#include <algorithm>
#include <array>
#include <exception>
#include <fstream>
#include <sstream>

namespace batchscope::storage {
namespace {

namespace fs = std::filesystem;

/// SQLite's file header: 16 bytes of name, and the application id, big-endian, at byte 68.
constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr std::size_t kApplicationAt = 68, kHeaderBytes = 72;

/// In the first page of the file itself, which may be older than its log.
std::int64_t application_in_header(const fs::path& file) {
  std::array<char, kHeaderBytes> header{};
  std::ifstream in(file, std::ios::binary);
  if (!in.read(header.data(), header.size()) ||
      std::string_view(header.data(), kMagic.size()) != kMagic) {
    return -1;
  }
  std::int64_t id = 0;
  for (std::size_t i = kApplicationAt; i < kHeaderBytes; ++i) {
    id = id * 256 + static_cast<unsigned char>(header[i]);
  }
  return id;
}

bool is_plain_file(const fs::path& file) {
  std::error_code error;
  return fs::is_regular_file(file, error);
}

/// A canonical spec: empty files and those of others are not.
bool is_run_spec(const fs::path& file) {
  if (!is_plain_file(file)) {
    return false;
  }
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  if (text.str().find("[run]") == std::string::npos) {
    return false;
  }
  contract::parse_spec(text.str());
  return true;
}

}  // namespace

bool is_run_id(const std::string& text) {
  constexpr std::size_t kDigits = 12;
  return text.size() == kDigits && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_run_file(const fs::path& file) noexcept {
  try {
    return is_plain_file(file) && (application_in_header(file) == kApplicationId ||
                                   Database::open_for_reading(file).query_integer(
                                       "PRAGMA application_id") == kApplicationId);
  } catch (const std::exception&) {
    return false;
  }
}

bool is_run_folder(const fs::path& folder) noexcept {
  try {
    return is_run_file(folder / kRunFile) || is_run_spec(folder / kSpecFile);
  } catch (const std::exception&) {
    return false;
  }
}

bool nothing_written(const fs::path& file) noexcept {
  try {
    if (!is_plain_file(file) || application_in_header(file) == kApplicationId) {
      return false;
    }
    Database database = Database::open_for_reading(file);
    return database.query_integer("PRAGMA application_id") == 0 &&
           database.query_integer("SELECT count(*) FROM sqlite_schema") == 0;
  } catch (const std::exception&) {
    return false;
  }
}

bool has_record(const fs::path& folder) noexcept {
  std::error_code error;
  return fs::exists(folder / kRunFile, error) && !nothing_written(folder / kRunFile);
}

}  // namespace batchscope::storage
