#pragma once

#include "storage/run_reader.h"

#include <filesystem>
#include <string>
#include <vector>

namespace batchscope::storage {

/// Writes the run's line (lineage of the newest segment) as CSV with LF ends, one row per step:
/// step,images,seconds, then lr, loss, loss/<part>, grad_norm, images_per_s, d/<module>,
/// mu/<module>, noise/<module>, pmd_c and all other series in the order they were added. Numbers in
/// the C locale with as many digits as give back the same double; empty: not measured; nan, inf,
/// -inf spelled out; names with a comma or quote in quotes. The file appears whole or not at all.
/// Returns the number of rows. Throws contract::StorageError.
std::int64_t export_csv(RunReader& reader, const std::filesystem::path& out);

/// The column order of export_csv: indices into `series`.
std::vector<std::int32_t> csv_order(const std::vector<contract::SeriesInfo>& series);

/// Shortest text that gives the same double, or nan, inf, -inf. Any locale.
std::string number_text(double value);

}  // namespace batchscope::storage
