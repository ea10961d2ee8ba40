#include "app/json_output.h"

#include "engine/contract/error.h"

#include <cstdio>
#include <fstream>

namespace batchscope {

void write_json(const nlohmann::json& value, const std::string& file) {
  if (file.empty()) {
    std::printf("%s\n", value.dump().c_str());
    return;
  }
  std::ofstream stream(file);
  stream << value.dump(2) << '\n';
  if (!stream.flush()) {
    throw contract::Error(contract::ExitCode::kStorage, "cannot write " + file);
  }
}

}  // namespace batchscope
