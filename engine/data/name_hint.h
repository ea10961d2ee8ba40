#pragma once

#include <string>
#include <unordered_set>

namespace batchscope::train {

/// Why a folder that has `present` lacks a file `name`, where it has it by another name:
/// " The folder has 'a.png': the names are paths of Windows." Tools write paths of Windows, URLs
/// and folders, and file systems change capitals and the Unicode form. Empty: there is no such
/// name.
std::string name_hint(const std::string& name,
                      const std::string& folder,
                      const std::unordered_set<std::string>& present);

}  // namespace batchscope::train
