#pragma once

#include <cstdio>
#include <string>

namespace batchscope::train {

/// A number for a sentence, with that many significant digits ("0.08", "1e+04", "nan").
inline std::string number_text(double value, int digits = 6) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return text;
}

}  // namespace batchscope::train
