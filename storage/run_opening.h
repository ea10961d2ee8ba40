#pragma once

#include "engine/contract/records.h"
#include "storage/sqlite.h"

#include <filesystem>

namespace batchscope::storage {

/// Size beyond which the write-ahead log of a run is truncated, in bytes.
inline constexpr std::uintmax_t kWalLimit = 64U << 20;

// How a run file comes to be, is taken up again and is closed; used by RunWriter. They throw
// contract::StorageError, and say there what RunWriter promises.

/// A new run file with its tables and `info`, in WAL mode, committed. It comes to be under another
/// name: whoever sees it sees a whole one, also after a kill or on a full disk.
Database create_run(const std::filesystem::path& file, const contract::RunInfo& info);
/// An existing one, migrated, with this process as its writer.
Database reopen_run(const std::filesystem::path& file, const contract::RunInfo& info);

/// A connection of another process would keep "journal_mode = DELETE" out for as long as it is
/// open. A compact copy in the file's place needs nobody's consent: who has the old file open sees
/// the same rows there. Writes that copy beside the file, after emptying the log, so that it says
/// nothing about the new file. Throws BusyError while a reader needs the log.
void write_compact_copy(Database& database);
/// Puts it in place; every connection of this process is closed by then. Where that fails, the file
/// stays as it was.
void put_compact_copy(const std::filesystem::path& file) noexcept;
/// One file without a log, if nobody reads.
void leave_wal(Database& database) noexcept;

/// PATH with `suffix` added to its last part.
std::filesystem::path beside(const std::filesystem::path& path, const char* suffix);

}  // namespace batchscope::storage
