#include "app/state_check.h"

#include "engine/contract/error.h"
#include "engine/train/state_file.h"

namespace batchscope::app {

std::string state_problem(const std::filesystem::path& file) {
  try {
    train::decode_state(train::read_bytes(file), file.filename().string());
    return {};
  } catch (const contract::Error& error) {
    return error.what();
  }
}

}  // namespace batchscope::app
