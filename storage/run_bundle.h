#pragma once

#include <filesystem>
#include <string>

namespace batchscope::storage {

/// Copies a run that has ended to one self-contained file (*.bscope). In the copy, the absolute
/// paths of spec, events and pictures are replaced by their base names, and no trace of the rest of
/// them is left. The file appears whole or not at all. Throws contract::StorageError, also for a
/// run that is not over.
void export_bundle(const std::filesystem::path& folder_or_file, const std::filesystem::path& out);

/// Copies a *.bscope (or another run file) into a folder of its own in the library, with its spec
/// beside it. Returns the folder. Throws contract::StorageError if the library has that run
/// already.
std::filesystem::path import_bundle(const std::filesystem::path& file,
                                    const std::filesystem::path& library);

}  // namespace batchscope::storage
