#include "engine/contract/error.h"
#include "engine/train/training_state.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

using namespace batchscope;

namespace {

/// A training relies on these without looking again: it indexes, allocates and deletes by them.
void check(const train::TrainingState& state) {
  bool whole = !state.segments.empty() && state.step >= 0 && state.images >= 0 &&
               state.total_images >= 0 && state.events_done >= 0 && state.segment >= 0;
  for (const std::string& file : state.checkpoints) {
    whole = whole && train::is_state_name(file);
  }
  for (const train::RestorePoint& point : state.restore_points) {
    whole = whole && train::is_state_name(point.file);
  }
  if (!whole) {
    std::abort();
  }
}

}  // namespace

/// Any text is what a checkpoint says of its training, or ends in a DataError of one line.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string words(reinterpret_cast<const char*>(data), size);
  try {
    const auto [state, info] = train::from_words(words, "input");
    check(state);
    // What was read is written and read as the same.
    const std::string again = train::to_words(state, info);
    const auto [same, same_info] = train::from_words(again, "input");
    if (train::to_words(same, same_info) != again) {
      std::abort();
    }
  } catch (const contract::DataError& error) {
    if (std::string(error.what()).find('\n') != std::string::npos) {
      std::abort();
    }
  }
  return 0;
}
