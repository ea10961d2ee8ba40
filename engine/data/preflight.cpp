#include "engine/contract/error.h"
#include "engine/data/broken_pictures.h"
#include "engine/data/data_check.h"
#include "engine/data/picture_set.h"

#include <algorithm>
#include <set>
#include <thread>

namespace batchscope::train {
namespace {

constexpr std::int64_t kPreflightPictures = 5000;

}  // namespace

std::optional<Finding> shared_pictures(const DataReport& training, const DataReport& validation) {
  const std::set<std::string> paths(training.paths.begin(), training.paths.end());
  const std::set<std::uint64_t> content(training.content.begin(), training.content.end());
  std::size_t shared = 0;
  std::string first;
  for (std::size_t i = 0; i < validation.paths.size(); ++i) {
    const std::string& path = validation.paths[i];
    if ((!path.empty() && paths.contains(path)) ||
        (validation.content[i] != 0 && content.contains(validation.content[i]))) {
      first = shared++ == 0 ? path : first;
    }
  }
  if (shared == 0) {
    return std::nullopt;
  }
  return Finding{false,
                 "shared_pictures",
                 static_cast<std::int64_t>(shared),
                 counted(shared,
                         "validation picture is a training picture: '",
                         "validation pictures are training pictures, the first: '") +
                     first + "'."};
}

std::vector<std::string> preflight(const Dataset& training,
                                   const Dataset* validation,
                                   double max_broken) {
  std::vector<std::string> warnings;
  std::vector<DataReport> reports;
  for (const Dataset* set : {&training, validation}) {
    if (set == nullptr || set->size() == 0 || !set->stored(0)) {
      continue;
    }
    const std::string of = set == validation ? "Validation data: " : "Training data: ";
    DataCheckOptions options;
    options.decode = false;
    options.max_pictures = kPreflightPictures;
    options.threads = std::max(1U, std::thread::hardware_concurrency());
    reports.push_back(check_data(*set, options));
    const std::int64_t allowed = allowed_broken(set->size(), max_broken);
    for (const Finding& finding : reports.back().findings) {
      const bool bearable = finding.kind == "unusable_pictures" && finding.count <= allowed;
      if (finding.error && !bearable) {
        throw contract::DataError(of + finding.sentence);
      }
      if (finding.kind != "annotations" || set == validation) {
        warnings.push_back(of + finding.sentence);
      }
    }
  }
  if (reports.size() == 2) {
    if (const auto shared = shared_pictures(reports[0], reports[1])) {
      warnings.push_back(shared->sentence);
    }
  }
  return warnings;
}

}  // namespace batchscope::train
