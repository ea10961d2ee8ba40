#pragma once

#include "engine/data/data_check.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <string>

namespace batchscope {

/// What `data check` gives of one set, for --json.
nlohmann::json data_json(const train::DataReport& report);

/// The same for people: counts, sizes, classes, findings.
void print_data(std::FILE* out, const std::string& name, const train::DataReport& report);

}  // namespace batchscope
