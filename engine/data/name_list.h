#pragma once

#include <string>
#include <vector>

namespace batchscope::train {

/// The lines of a text file that are not blank, without white space around them. `what` begins the
/// sentences: "The list of pictures". Throws contract::DataError: no such file, no such line.
std::vector<std::string> read_lines(const std::string& path, const char* what);

/// The first word of each line of a list of pictures (VOC's ImageSets have a flag behind it).
std::vector<std::string> read_name_list(const std::string& path);

}  // namespace batchscope::train
