#pragma once

#include <string>
#include <unordered_set>
#include <vector>

namespace batchscope::train {

/// The lines of a text file that are not blank, without white space around them. `what` begins the
/// sentences: "The list of pictures". Throws contract::DataError: no such file, no such line.
std::vector<std::string> read_lines(const std::string& path, const char* what);

/// The lines of a list of pictures, blanks inside a name included. Where every line ends in a flag
/// (-1, 0 or 1 behind blanks, as in VOC's ImageSets) the flags are left out: one that is missing
/// somewhere is part of a name ("scan 1").
std::vector<std::string> read_name_list(const std::string& path);

/// Throws the contract::DataError of a list that names a picture whose file is not in the folder,
/// which has `present`.
[[noreturn]] void listed_file_missing(const std::string& list,
                                      const std::string& name,
                                      const std::string& folder,
                                      const std::string& file,
                                      const std::unordered_set<std::string>& present);

/// Names of what is in a folder; with `below` instead the files in it and in its subfolders, by
/// their paths from there. `what` begins a sentence: "The picture folder". Throws
/// contract::DataError.
std::unordered_set<std::string> names_in_folder(const std::string& folder,
                                                const char* what,
                                                bool below = false);

}  // namespace batchscope::train
