#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace batchscope::storage {

/// A spec's text with the paths of data and weights, and whatever else begins with "/", reduced to
/// base names. The folders that go are added to `folders`.
std::string without_folders(const std::string& spec_toml,
                            std::vector<std::string>* folders = nullptr);

/// A sentence, or an argument of an event, with absolute paths reduced to base names; `folders` are
/// found also where a path has spaces in it.
std::string without_folders_in(std::string text, const std::vector<std::string>& folders);

}  // namespace batchscope::storage
