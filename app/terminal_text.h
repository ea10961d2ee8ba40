#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace batchscope::app {

/// One field of what comes from a file or another program, fit for a terminal: what would steer it
/// (escapes, control characters, bytes that are no UTF-8, marks that turn the direction of writing)
/// is spelt out, as in \x1b; line breaks and tabs are spaces.
std::string printable(std::string_view text);
/// The same of a text that may have several lines.
std::string printable_lines(std::string_view text);
/// The same of JSON text, which stays JSON of the same value: it escapes only a part of them
/// itself.
std::string printable_json(std::string_view text);
/// At most six significant digits, or nan, inf, -inf.
std::string short_number(double value);
/// A figure of an evaluation with four decimals; "-" for one below 0, where there was nothing to
/// measure.
std::string figure_text(double value);
/// short_number() of such a figure, likewise.
std::string short_figure(double value);
/// printable(), cut to `width` characters (not bytes) with an ellipsis, or filled up with spaces.
std::string fitted(const std::string& text, std::size_t width);
/// A progress bar of `width` characters; share 0…1.
std::string bar(double share, int width, bool unicode);
/// Values as a row of bars of different height, one per column; a column that holds a value that is
/// not finite is marked "!" (it is the news). Empty for no values.
std::string sparkline(const std::vector<double>& values, std::size_t columns, bool unicode);

}  // namespace batchscope::app
