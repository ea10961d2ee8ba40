#pragma once

#include "models/weights/byte_source.h"

#include <string>

namespace batchscope::models {

/// What a file is that cannot be weights, by its first bytes, as the end of a sentence: "is empty",
/// "begins with "<!DOCTYPE html>": it is a web page, not weights"; empty when they tell nothing.
/// Throws WeightError when reading fails.
std::string foreign_kind(const ByteSource& source);

}  // namespace batchscope::models
