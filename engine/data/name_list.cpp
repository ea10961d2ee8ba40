#include "engine/data/name_list.h"

#include "engine/contract/error.h"
#include "engine/data/name_hint.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

namespace batchscope::train {
namespace {

namespace fs = std::filesystem;

/// Where the blanks before the flag behind a name begin; npos: there is none.
std::size_t flag_of(const std::string& line) {
  const std::size_t blank = line.find_last_of(" \t");
  if (blank == std::string::npos) {
    return blank;
  }
  const std::string_view last = std::string_view(line).substr(blank + 1);
  const bool flag = last == "-1" || last == "0" || last == "1";
  return flag ? line.find_last_not_of(" \t", blank) + 1 : std::string::npos;
}

/// Calls `act` with each entry; the iterator is of one folder or of all below it.
template <typename Iterator, typename Act>
void each_entry(const std::string& folder, const char* what, const Act& act) {
  std::error_code error;
  for (Iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    act(*entry);
  }
  if (error) {
    throw contract::DataError(std::string(what) + " '" + folder +
                              "' cannot be read: " + error.message() + ".");
  }
}

}  // namespace

std::vector<std::string> read_lines(const std::string& path, const char* what) {
  constexpr const char* kBlank = " \t\r\n";
  std::ifstream in(path);
  if (!in) {
    throw contract::DataError(std::string(what) + " '" + path + "' cannot be opened.");
  }
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (lines.empty() && line.starts_with("\xef\xbb\xbf")) {
      line.erase(0, 3);  // a byte order mark
    }
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
  const bool flags = std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return flag_of(name) != std::string::npos;
  });
  if (flags) {
    for (std::string& name : names) {
      name.resize(flag_of(name));
    }
  }
  return names;
}

void listed_file_missing(const std::string& list,
                         const std::string& name,
                         const std::string& folder,
                         const std::string& file,
                         const std::unordered_set<std::string>& present) {
  throw contract::DataError("The list '" + list + "' names '" + name + "', but the folder '" +
                            folder + "' has no '" + file + "'." + name_hint(file, folder, present));
}

std::unordered_set<std::string> names_in_folder(const std::string& folder,
                                                const char* what,
                                                bool below) {
  // One listing of a folder is much cheaper than a question for each of 100,000 files.
  std::unordered_set<std::string> names;
  if (below) {
    each_entry<fs::recursive_directory_iterator>(folder, what, [&](const fs::directory_entry& e) {
      std::error_code unknown;
      if (e.is_regular_file(unknown)) {
        names.insert(e.path().lexically_relative(folder).string());
      }
    });
  } else {
    each_entry<fs::directory_iterator>(folder, what, [&](const fs::directory_entry& e) {
      names.insert(e.path().filename().string());
    });
  }
  return names;
}

}  // namespace batchscope::train
