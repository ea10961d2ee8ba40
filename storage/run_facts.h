#pragma once

#include "storage/catalogue.h"
#include "storage/run_reader.h"

#include <filesystem>
#include <string>

namespace batchscope::storage {

/// All that a run file itself says for a list; it changes only when the file does, so the catalogue
/// may keep it. The true state is not in it.
struct RunFacts {
  RunSummary summary;  // state and evidence unset
  StoredState stored;
};

/// Reads them. A file that cannot be read, or not within the time of a list, gives facts with
/// summary.error. Does not throw.
RunFacts read_facts(const std::filesystem::path& folder_or_file,
                    const std::atomic<bool>* cancelled = nullptr) noexcept;

/// The summary with state and evidence computed now.
RunSummary judge(const RunFacts& facts);

/// As one line of JSON, and back. Throws contract::StorageError on any other text.
std::string to_json(const RunFacts& facts);
RunFacts facts_from_json(const std::string& text);

}  // namespace batchscope::storage
