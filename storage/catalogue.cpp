#include "storage/catalogue.h"

#include "storage/catalogue_cache.h"
#include "storage/run_facts.h"
#include "storage/run_files.h"

#include <algorithm>
#include <exception>

namespace batchscope::storage {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBundleSuffix = ".bscope";

/// Folders that hold a run or a prepared one, and *.bscope files.
std::vector<fs::path> scan(const fs::path& library) {
  std::error_code error;
  std::vector<fs::path> found;
  if (!fs::exists(library, error)) {
    return found;  // a library comes to be with its first run
  }
  fs::directory_iterator entry(library, error);
  if (error) {
    throw contract::StorageError("the library '" + library.string() +
                                 "' cannot be read: " + error.message());
  }
  for (; entry != fs::directory_iterator(); entry.increment(error)) {
    const fs::path& path = entry->path();
    std::error_code ignored;
    if (entry->is_directory(ignored)) {
      if (fs::exists(path / kRunFile, ignored) || fs::exists(path / kSpecFile, ignored)) {
        found.push_back(path);
      }
    } else if (path.extension() == kBundleSuffix) {
      found.push_back(path);
    }
    if (error) {
      break;
    }
  }
  return found;
}

bool is_run_path(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    return fs::exists(path / kRunFile, error) || fs::exists(path / kSpecFile, error);
  }
  return fs::is_regular_file(path, error);
}

/// The folder of a run, without the slash of "runs/aaaa00000002/", or the file.
fs::path folder_or_file(const fs::path& path) {
  const fs::path given = folder_of_run(path);
  const fs::path folder = given.empty() ? path : given;
  return folder.has_filename() ? folder : folder.parent_path();
}

[[noreturn]] void refuse(const std::string& reference, const std::vector<RunSummary>& candidates) {
  if (candidates.empty()) {
    throw contract::SpecError("RUN", "there is no run '" + reference + "' in the library");
  }
  std::string sentence = "'" + reference + "' may mean " + std::to_string(candidates.size()) +
                         " runs; give more of the id:";
  constexpr std::size_t kShown = 10;
  for (std::size_t i = 0; i < std::min(candidates.size(), kShown); ++i) {
    sentence += (i == 0 ? " " : ", ") + candidates[i].id + " (" + candidates[i].name + ")";
  }
  if (candidates.size() > kShown) {
    sentence += ", …";
  }
  throw contract::SpecError("RUN", sentence);
}

}  // namespace

RunSummary summarise(const fs::path& folder_or_file) {
  return judge(read_facts(folder_or_file));
}

std::vector<RunSummary> list_runs(const fs::path& library, const std::atomic<bool>* cancelled) {
  CatalogueCache cache(library);
  std::vector<RunSummary> runs;
  const auto ended = [cancelled] { return cancelled != nullptr && cancelled->load(); };
  for (const fs::path& path : scan(library)) {
    if (ended()) {
      break;
    }
    const std::string key = path.filename().string();
    // Taken before reading: what changes meanwhile has another fingerprint next time.
    const std::string fingerprint = fingerprint_of(path);
    std::optional<RunFacts> facts = cache.find(key, fingerprint);
    if (!facts) {
      facts = read_facts(path, cancelled);
      // What keeps a run from being read (rights, a busy disk) may go without a trace in the file.
      cache.put(key, facts->summary.error.empty() ? fingerprint : std::string(), *facts);
    }
    facts->summary.folder = path;
    runs.push_back(judge(*facts));
  }
  if (!ended()) {
    cache.save();
  }
  std::stable_sort(runs.begin(), runs.end(), [](const RunSummary& a, const RunSummary& b) {
    return a.started != b.started ? a.started > b.started : a.id < b.id;
  });
  return runs;
}

fs::path find_run(const fs::path& library, const std::string& reference) {
  const bool word = reference.find('/') == std::string::npos;
  std::error_code error;
  if (word && !reference.empty() && reference.front() != '.') {
    fs::path by_id = run_folder(library, reference);
    if (fs::exists(by_id / kRunFile, error)) {
      return by_id;
    }
  }
  if (!word && is_run_path(reference)) {
    return folder_or_file(reference);
  }
  std::vector<RunSummary> named, prefixed;
  for (RunSummary& run : list_runs(library)) {
    if (run.name == reference || run.id == reference) {
      named.push_back(run);
    }
    if (!reference.empty() && run.id.starts_with(reference)) {
      prefixed.push_back(std::move(run));
    }
  }
  const std::vector<RunSummary>& candidates = named.empty() ? prefixed : named;
  if (candidates.empty() && word && is_run_path(reference)) {
    return folder_or_file(reference);
  }
  if (candidates.size() != 1) {
    refuse(reference, candidates);
  }
  return candidates.front().folder;
}

}  // namespace batchscope::storage
