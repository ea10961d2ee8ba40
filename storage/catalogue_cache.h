#pragma once

#include "storage/run_facts.h"
#include "storage/sqlite.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace batchscope::storage {

/// The derived file LIBRARY/catalogue.sqlite: facts of run files that have not changed since they
/// were read. Whatever is wrong with it (missing, damaged, of another version, not writable, in use
/// by another process) costs a fresh reading of the runs and nothing else. Does not throw.
class CatalogueCache {
 public:
  explicit CatalogueCache(const std::filesystem::path& library) noexcept;
  /// The facts that were stored for this run under the same fingerprint.
  std::optional<RunFacts> find(const std::string& run, const std::string& fingerprint) const;
  void put(const std::string& run, const std::string& fingerprint, const RunFacts& facts);
  /// Writes what was put, and forgets runs that were neither found nor put.
  void save() noexcept;

 private:
  struct Entry {
    std::string fingerprint, facts;
    mutable bool seen = false;
    bool changed = false;
  };
  void load();
  void write(Database& database);

  std::filesystem::path file_;
  std::map<std::string, Entry> entries_;
};

/// What tells an unchanged run file from a changed one: identity, size and modification time of the
/// file and of its log. Empty if it changed so recently that its next change might look the same.
std::string fingerprint_of(const std::filesystem::path& folder_or_file);

}  // namespace batchscope::storage
