#pragma once

#include "storage/sqlite.h"

namespace batchscope::storage {

/// Refuses a file whose schema holds anything but the tables and the index of schema.sql: views,
/// triggers, virtual tables, tables of others, and columns or indexes that are computed. A run file
/// may come from anybody, and what stands in its schema is carried out by who reads it. Throws
/// contract::StorageError.
void check_schema(const Database& database);

}  // namespace batchscope::storage
