#pragma once

#include <filesystem>
#include <string>

namespace batchscope::storage {

/// True for a run id: 12 lower-case hexadecimal digits.
bool is_run_id(const std::string& text);

/// True for a file that holds a run, also one that is damaged or was written by a newer Batchscope.
bool is_run_file(const std::filesystem::path& file) noexcept;
/// True for a folder with such a run.sqlite, or with the spec of a run that has not begun.
bool is_run_folder(const std::filesystem::path& folder) noexcept;

/// True for a database without a table, which a start leaves that was killed before its first
/// commit (by a program of before): there is no record yet, and nothing to lose.
bool nothing_written(const std::filesystem::path& file) noexcept;
/// True where a run folder's record has begun.
bool has_record(const std::filesystem::path& folder) noexcept;

}  // namespace batchscope::storage
