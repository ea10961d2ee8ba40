#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace batchscope::app {

/// At most six significant digits, or nan, inf, -inf.
std::string short_number(double value);
/// Cut to `width` characters (not bytes) with an ellipsis, or filled up with spaces.
std::string fitted(const std::string& text, std::size_t width);
/// A progress bar of `width` characters; share 0…1.
std::string bar(double share, int width, bool unicode);
/// Values as a row of bars of different height, one per column; a column that holds a value that is
/// not finite is marked "!" (it is the news). Empty for no values.
std::string sparkline(const std::vector<double>& values, std::size_t columns, bool unicode);

}  // namespace batchscope::app
