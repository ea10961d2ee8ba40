#include "app/state_check.h"

#include "engine/contract/error.h"
#include "engine/train/state_file.h"
#include "engine/train/training_state.h"

namespace batchscope::app {

std::string state_problem(const std::filesystem::path& file) {
  try {
    const std::string origin = file.filename().string();
    train::from_words(train::decode_state(train::read_bytes(file), origin).words, origin);
    return {};
  } catch (const contract::Error& error) {
    return error.what();
  }
}

}  // namespace batchscope::app
