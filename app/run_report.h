#pragma once

#include "storage/catalogue.h"
#include "storage/run_reader.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace batchscope::app {

/// One run with the keys that DESIGN.md section 6 promises (id, name, status, step, steps, images,
/// optimizer, effective_batch, started, metrics), and evidence, finished, phase, dead, error and
/// folder. Numbers that are not finite are the strings "nan", "inf" and "-inf".
nlohmann::json run_json(const storage::RunSummary& run);
/// The same, with what the run file says besides: machine, spec, series, segments, events,
/// evaluations and checkpoints.
nlohmann::json run_json(const storage::RunSummary& run, storage::RunReader& reader);

/// A table for people, newest first; one line per run.
std::string run_table(const std::vector<storage::RunSummary>& runs);
/// One run for people.
std::string run_text(const storage::RunSummary& run, storage::RunReader& reader);

}  // namespace batchscope::app
