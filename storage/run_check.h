#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace batchscope::storage {

struct CheckResult {
  std::int64_t rows = 0, samples = 0;  // looked at
  std::vector<std::string> problems;   // one sentence each; none: the file is whole
};

/// Reads everything in a run file and tells what is wrong: SQLite's own integrity check, block
/// sizes, order of rows, summaries of chunks against their samples, samples without a row. Changes
/// nothing. Throws contract::StorageError if the file cannot be opened as a run file at all.
CheckResult check_run(const std::filesystem::path& folder_or_file);

}  // namespace batchscope::storage
