#pragma once

#include "storage/folding.h"
#include "storage/run_writer.h"
#include "storage/sqlite.h"

#include <map>

namespace batchscope::storage {

/// What the two source files of RunWriter share.
struct RunWriter::Impl {
  /// Counts that go back with a transaction.
  struct Counters {
    std::int64_t last_seq = 0;
    std::int64_t live_rows = 0;
    std::int64_t seq_shift = 0;  // stored seq - given seq
    std::size_t series = 0;
  };

  explicit Impl(Database opened);
  void begin() {
    if (!database.in_transaction()) {
      database.execute("BEGIN IMMEDIATE");
    }
  }
  std::int32_t remember(const contract::SeriesInfo& info) {
    const auto index = static_cast<std::int32_t>(series.size());
    series.push_back(info);
    index_of[info.name] = index;
    now.series = series.size();
    return index;
  }
  template <class... Values>
  void write(const char* sql, const Values&... values) {
    begin();
    Statement(database, sql).with(values...).run();
  }
  void rollback() noexcept;
  /// Never fails: the next commit tries again.
  void truncate_wal() noexcept;
  /// Folds all and writes the compact copy beside the file. False: there is no space for it, or a
  /// reader keeps the log; the record is whole as it is.
  bool write_copy() noexcept;

  Database database;
  Folding folding;
  Statement insert_row, update_heartbeat, update_state;
  std::vector<contract::SeriesInfo> series;
  std::map<std::string, std::int32_t> index_of;
  std::map<std::int64_t, std::int64_t> probe_of;  // given number -> stored number
  Counters now, committed;
};

inline BlobView view_of(const std::string& blob) {
  return {blob.data(), blob.size()};
}

}  // namespace batchscope::storage
