#include "models/weights/key_names.h"
#include "models/weights/weight_error.h"
#include "models/weights/weight_index.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace batchscope::models;

namespace {

/// Every element of every tensor is inside the file, as readers rely on.
void check(const WeightIndex& index, const ByteSource& source) {
  std::vector<std::string> names;
  for (const WeightEntry& entry : index.entries) {
    names.push_back(entry.name);
    if (entry.span_bytes() == 0) {
      continue;
    }
    const WeightStorage& storage = index.storages.at(entry.storage);
    if (entry.first > storage.bytes || entry.span_bytes() > storage.bytes - entry.first ||
        entry.shape.size() != entry.strides.size()) {
      std::abort();
    }
    source.text(storage_place(source, storage) + entry.first, 1);
  }
  if (index.entries.size() != current_names(names).size()) {
    std::abort();
  }
}

}  // namespace

/// Any bytes are a weight file or end in a WeightError of one line.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemorySource source("input", std::string_view(reinterpret_cast<const char*>(data), size));
  try {
    check(index_weights(source), source);
  } catch (const WeightError& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) {
      std::abort();
    }
  }
  return 0;
}
