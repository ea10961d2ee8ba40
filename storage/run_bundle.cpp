#include "storage/run_bundle.h"

#include "storage/catalogue.h"
#include "storage/json_text.h"
#include "storage/migrations.h"
#include "storage/private_paths.h"
#include "storage/run_files.h"
#include "storage/run_identity.h"
#include "storage/run_reader.h"
#include "storage/sqlite.h"

#include <map>
#include <unistd.h>

namespace batchscope::storage {
namespace {

namespace fs = std::filesystem;
using contract::RunState;
using contract::StorageError;

/// A file or folder under a temporary name; removed unless it was renamed to its own.
class Pending {
 public:
  explicit Pending(const fs::path& path) : path_(path), temporary_(path) {
    temporary_ += ".part" + std::to_string(::getpid());
    std::error_code ignored;
    fs::remove_all(temporary_, ignored);
  }
  ~Pending() {
    std::error_code ignored;
    fs::remove_all(temporary_, ignored);
  }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  const fs::path& temporary() const { return temporary_; }
  void commit() {
    std::error_code error;
    fs::rename(temporary_, path_, error);
    if (error) {
      throw StorageError("'" + path_.string() + "' cannot be written: " + error.message());
    }
    sync_folder(path_.parent_path());
  }

 private:
  fs::path path_, temporary_;
};

/// One consistent copy through SQLite: also right for a file with a log beside it.
void copy_database(const fs::path& from, const fs::path& to) {
  Database database = Database::open_for_reading(run_file_of(from));
  check_run_file(database);
  Statement(database, "VACUUM INTO ?1").with(to.string()).run();
}

/// Nobody's folders are anybody else's business.
void forget_folders(Database& database) {
  // What is overwritten is wiped, and no journal keeps it.
  database.execute("PRAGMA secure_delete = ON");
  database.query_text("PRAGMA journal_mode = MEMORY");
  std::vector<std::string> folders;
  Transaction transaction(database, Transaction::Kind::kWrite);
  const std::string spec = database.query_text("SELECT spec_toml FROM run");
  Statement(database, "UPDATE run SET spec_toml = ?1").with(without_folders(spec, &folders)).run();
  Statement event(database, "SELECT id, text, args FROM event");
  Statement update(database, "UPDATE event SET text = ?2, args = ?3 WHERE id = ?1");
  while (event.step()) {
    std::map<std::string, std::string> args = map_from_json(event.text(2));
    for (auto& [name, value] : args) {
      value = without_folders_in(value, folders);
    }
    update.with(event.integer(0), without_folders_in(event.text(1), folders), to_json(args)).run();
  }
  if (database.query_integer("PRAGMA user_version") >= 3) {  // a copy is of its run's version
    const std::string trouble = database.query_text("SELECT trouble FROM state");
    Statement(database, "UPDATE state SET trouble = ?1")
        .with(without_folders_in(trouble, folders))
        .run();
  }
  Statement picture(database, "SELECT probe, name FROM probe WHERE name LIKE '%/%'");
  Statement rename(database, "UPDATE probe SET name = ?2 WHERE probe = ?1");
  while (picture.step()) {
    rename.with(picture.integer(0), without_folders_in(picture.text(1), folders)).run();
  }
  transaction.commit();
}

}  // namespace

void export_bundle(const fs::path& folder_or_file, const fs::path& out) {
  const RunSummary run = summarise(folder_or_file);
  if (!run.error.empty()) {
    throw StorageError(run.error);
  }
  if (run.state != RunState::kFinished && run.state != RunState::kStopped &&
      run.state != RunState::kFailed && run.state != RunState::kLost) {
    throw StorageError("run " + run.id + " is not over (" + run.evidence +
                       "): it can be exported once it has ended");
  }
  Pending copy(out);
  copy_database(folder_or_file, copy.temporary());
  {
    Database database(copy.temporary(), Database::Mode::kReadWrite);
    forget_folders(database);
  }
  sync_file(copy.temporary());
  copy.commit();
}

fs::path import_bundle(const fs::path& file, const fs::path& library) {
  const contract::RunInfo info = RunReader(file).info();
  if (!is_run_id(info.id)) {
    throw StorageError("'" + file.string() + "' is damaged: '" + info.id +
                       "' is no run id, expected 12 hexadecimal digits");
  }
  fs::path folder = run_folder(library, info.id);
  std::error_code error;
  if (fs::exists(folder, error)) {
    throw StorageError("the library has run " + info.id + " already: '" + folder.string() + "'");
  }
  Pending made(folder);
  fs::create_directories(made.temporary(), error);
  if (error) {
    throw StorageError("'" + folder.string() + "' cannot be made: " + error.message());
  }
  copy_database(file, made.temporary() / kRunFile);
  ReplacingFile spec(made.temporary() / kSpecFile);
  spec.write(info.spec_toml);
  spec.commit();
  made.commit();
  return folder;
}

}  // namespace batchscope::storage
