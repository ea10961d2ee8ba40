#include "engine/distributed/command_relay.h"

#include <string>
#include <utility>

namespace batchscope::train {

std::vector<contract::Command> agree_on_commands(Group& group,
                                                 std::vector<contract::Command> commands) {
  if (group.size() == 1) {
    return commands;
  }
  std::string lines;
  if (group.rank() == 0) {
    for (const auto& command : commands) {
      lines += contract::encode(command) + '\n';
    }
  }
  lines = group.broadcast_bytes(lines, 0);
  std::vector<contract::Command> agreed;
  for (std::size_t begin = 0; begin < lines.size();) {
    const std::size_t end = lines.find('\n', begin);
    agreed.push_back(contract::decode_command(lines.substr(begin, end - begin)));
    begin = end + 1;
  }
  return agreed;
}

}  // namespace batchscope::train
