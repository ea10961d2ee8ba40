#pragma once

#include "storage/columns.h"
#include "storage/sqlite.h"

namespace batchscope::storage {

/// Moves live rows of a run file into column chunks. Used inside the writer's transaction. One
/// thread.
class Folding {
 public:
  explicit Folding(Database& database);
  /// Moves the oldest `rows` live rows. A series that was measured seldom fills its newest chunk of
  /// the same segment up to 1024 samples before it opens another.
  void fold(std::int64_t rows);

 private:
  void append_axis(const AxisColumns& axis);
  void append_series(std::int32_t series, std::int64_t segment, const Column& column);
  void store_chunk(std::int32_t series, std::int64_t segment, const Column& column);

  Statement oldest_, remove_live_;
  Statement newest_axis_, remove_axis_, insert_axis_;
  Statement newest_chunk_, remove_chunk_, insert_chunk_;
};

}  // namespace batchscope::storage
