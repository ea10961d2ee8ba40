#pragma once

#include "storage/run_reader.h"
#include "storage/sqlite.h"

#include <utility>

namespace batchscope::storage {

/// What the two source files of RunReader share.
struct RunReader::Impl {
  using Identity = std::pair<std::uint64_t, std::uint64_t>;

  Impl(const std::filesystem::path& path, ReadLimits reading);
  /// The connection for one call. A finished run is replaced by a compact copy of itself: then the
  /// new file is opened, so that a resumed run goes on here too.
  Database& current();

  std::filesystem::path file;
  ReadLimits limits;
  Database database;
  Identity identity;
};

}  // namespace batchscope::storage
