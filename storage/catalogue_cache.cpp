#include "storage/catalogue_cache.h"

#include "storage/run_files.h"
#include "storage/run_status.h"

#include <exception>
#include <sys/stat.h>
#include <vector>

namespace batchscope::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kCatalogueId = 0x42534341;  // "BSCA"
/// Of the table and of the JSON in it; a catalogue of another version is thrown away.
constexpr std::int64_t kCatalogueVersion = 2;
constexpr int kBusyMs = 200;
/// File systems stamp with the kernel's tick; a file this young may change without a new stamp.
constexpr double kRacySeconds = 2;

void remove_catalogue(const fs::path& file) {
  std::error_code ignored;
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) {
    fs::path one = file;
    one += suffix;
    fs::remove(one, ignored);
  }
}

}  // namespace

CatalogueCache::CatalogueCache(const fs::path& library) noexcept {
  try {
    file_ = library / "catalogue.sqlite";
    load();
  } catch (const BusyError&) {  // another process is writing it: read the runs themselves
  } catch (const std::exception&) {
    entries_.clear();
    remove_catalogue(file_);
  }
}

void CatalogueCache::load() {
  std::error_code error;
  if (!fs::exists(file_, error)) {
    return;
  }
  Database database = Database::open_for_reading(file_);
  if (database.query_integer("PRAGMA application_id") != kCatalogueId ||
      database.query_integer("PRAGMA user_version") != kCatalogueVersion) {
    throw contract::StorageError("another catalogue");
  }
  Statement row(database, "SELECT run, fingerprint, facts FROM known_run");
  while (row.step()) {
    entries_[row.text(0)] = {row.text(1), row.text(2)};
  }
}

std::optional<RunFacts> CatalogueCache::find(const std::string& run,
                                             const std::string& fingerprint) const {
  const auto entry = entries_.find(run);
  if (entry == entries_.end() || fingerprint.empty() || entry->second.fingerprint != fingerprint) {
    return std::nullopt;
  }
  try {
    RunFacts facts = facts_from_json(entry->second.facts);
    entry->second.seen = true;
    return facts;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void CatalogueCache::put(const std::string& run,
                         const std::string& fingerprint,
                         const RunFacts& facts) {
  if (!fingerprint.empty()) {
    entries_[run] = {fingerprint, to_json(facts), true, true};
  }
}

void CatalogueCache::save() noexcept {
  bool changed = false;
  for (const auto& [run, entry] : entries_) {
    changed = changed || entry.changed || !entry.seen;
  }
  if (!changed) {
    return;
  }
  try {
    std::error_code error;
    const bool exists = fs::exists(file_, error);
    Database database(
        file_, exists ? Database::Mode::kReadWrite : Database::Mode::kCreate, kBusyMs);
    write(database);
  } catch (const BusyError&) {  // another process writes the same facts
  } catch (const std::exception&) {
    remove_catalogue(file_);
  }
}

void CatalogueCache::write(Database& database) {
  // Derived data: after a power cut it is made again.
  database.execute("PRAGMA synchronous = OFF");
  Transaction transaction(database, Transaction::Kind::kWrite);
  database.execute(
      "CREATE TABLE IF NOT EXISTS known_run (run TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, "
      "facts TEXT NOT NULL) STRICT");
  database.execute("PRAGMA application_id = " + std::to_string(kCatalogueId));
  database.execute("PRAGMA user_version = " + std::to_string(kCatalogueVersion));
  Statement insert(database, "INSERT OR REPLACE INTO known_run VALUES (?1, ?2, ?3)");
  Statement remove(database, "DELETE FROM known_run WHERE run = ?1");
  for (const auto& [run, entry] : entries_) {
    if (!entry.seen) {
      remove.with(run).run();
    } else if (entry.changed) {
      insert.with(run, entry.fingerprint, entry.facts).run();
    }
  }
  transaction.commit();
}

std::string fingerprint_of(const fs::path& folder_or_file) {
  const fs::path file = run_file_of(folder_or_file);
  std::string fingerprint;
  for (const char* suffix : {"", "-wal"}) {
    fs::path one = file;
    one += suffix;
    struct stat status {};
    if (::stat(one.c_str(), &status) != 0) {
      fingerprint += "- ";
      continue;
    }
    const double changed = static_cast<double>(status.st_mtim.tv_sec) +
                           1e-9 * static_cast<double>(status.st_mtim.tv_nsec);
    if (unix_now() - changed < kRacySeconds) {
      return {};
    }
    for (const auto number : {static_cast<std::int64_t>(status.st_ino),
                              static_cast<std::int64_t>(status.st_size),
                              static_cast<std::int64_t>(status.st_mtim.tv_sec),
                              static_cast<std::int64_t>(status.st_mtim.tv_nsec)}) {
      fingerprint += std::to_string(number) + " ";
    }
  }
  return fingerprint;
}

}  // namespace batchscope::storage
