#pragma once

#include "models/weights/weight_index.h"

#include <map>
#include <string>
#include <vector>

namespace batchscope::models {

/// Bounds of what a header may ask for. Far above real files (a Mask R-CNN has 400 tensors, the
/// largest language models 100,000), far below what hurts.
struct HeaderLimits {
  std::size_t tensors = 200'000;
  std::size_t metadata = 10'000;      // entries
  std::size_t text = 16U << 20;       // bytes of one string
  std::size_t depth = 16;             // objects and lists inside one another
  std::size_t dimensions = 64;        // of a tensor
  std::uint64_t bytes = 100'000'000;  // of the header: the format's own bound
};

/// A tensor as a header describes it. Its bytes are what its shape and dtype need; where they lie
/// is not yet compared with the file.
struct DescribedTensor {
  WeightEntry entry;
  std::uint64_t begin = 0, end = 0;  // in the data
};

struct SafetensorsHeader {
  std::vector<DescribedTensor> tensors;  // in the order of the header
  std::map<std::string, std::string> metadata;
};

/// Reads the JSON at bytes `begin` to `end` value by value: memory is that of what is described,
/// and not of what the JSON makes. Keys that the format does not have are skipped. Throws
/// WeightError: no JSON, a name that stands twice, a value of another kind, over a limit.
SafetensorsHeader parse_safetensors(const ByteSource& source,
                                    std::uint64_t begin,
                                    std::uint64_t end,
                                    const HeaderLimits& limits = {});

}  // namespace batchscope::models
