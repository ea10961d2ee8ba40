#include "engine/data/name_list.h"

#include "engine/contract/error.h"

#include <algorithm>
#include <fstream>

namespace batchscope::train {

std::vector<std::string> read_lines(const std::string& path, const char* what) {
  constexpr const char* kBlank = " \t\r\n";
  std::ifstream in(path);
  if (!in) {
    throw contract::DataError(std::string(what) + " '" + path + "' cannot be opened.");
  }
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    const std::size_t begin = line.find_first_not_of(kBlank);
    if (begin != std::string::npos) {
      lines.push_back(line.substr(begin, line.find_last_not_of(kBlank) - begin + 1));
    }
  }
  if (lines.empty()) {
    throw contract::DataError(std::string(what) + " '" + path + "' has no names.");
  }
  return lines;
}

std::vector<std::string> read_name_list(const std::string& path) {
  std::vector<std::string> names = read_lines(path, "The list of pictures");
  for (std::string& name : names) {
    name.resize(std::min(name.size(), name.find_first_of(" \t")));
  }
  return names;
}

void listed_file_missing(const std::string& list,
                         const std::string& name,
                         const std::string& folder,
                         const std::string& file) {
  throw contract::DataError("The list '" + list + "' names '" + name + "', but the folder '" +
                            folder + "' has no '" + file + "'.");
}

}  // namespace batchscope::train
