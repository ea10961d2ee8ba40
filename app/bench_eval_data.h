#pragma once

#include <cstdint>
#include <string>

namespace batchscope {

struct EvalDataOptions {
  std::int64_t images = 5000;
  std::int64_t detections = 36;  // in a picture
  std::int64_t classes = 80;
  std::uint64_t seed = 0;
};

/// Writes COCO truth and results of a made-up detector to two files: pictures of 640x480 with 7.3
/// objects on average (Poisson), sides log-normal around 55 px, 1.2 % crowds; of the detections 45
/// % are an object moved by a normal eighth of its side, the right class in 85 %, scores Beta(4,
/// 3), the others anything, Beta(1.2, 6). Written as they are drawn: little memory. Throws
/// contract::StorageError when a file cannot be written.
void write_eval_data(const EvalDataOptions& options,
                     const std::string& truth_path,
                     const std::string& results_path);

}  // namespace batchscope
