#pragma once

#include <string>
#include <vector>

namespace batchscope::train {

/// The lines of a text file that are not blank, without white space around them. `what` begins the
/// sentences: "The list of pictures". Throws contract::DataError: no such file, no such line.
std::vector<std::string> read_lines(const std::string& path, const char* what);

/// The first word of each line of a list of pictures (VOC's ImageSets have a flag behind it).
std::vector<std::string> read_name_list(const std::string& path);

/// Throws the contract::DataError of a list that names a picture whose file is not in the folder.
[[noreturn]] void listed_file_missing(const std::string& list,
                                      const std::string& name,
                                      const std::string& folder,
                                      const std::string& file);

}  // namespace batchscope::train
