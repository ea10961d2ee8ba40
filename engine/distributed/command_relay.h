#pragma once

#include "engine/contract/messages.h"
#include "engine/distributed/group.h"

#include <vector>

namespace batchscope::train {

/// What rank 0 has decided, on every rank: all call it before each update, and rank 0's commands
/// come back everywhere in the same order (other ranks give an empty list). When there is nothing
/// it costs one collective of 256 bytes, in a world of one nothing at all. While paused, rank 0
/// calls it at least once a second (after ControlServer::wait(1000)): the empty message keeps the
/// waiting ranks from timing out. Throws contract::PeerError.
std::vector<contract::Command> agree_on_commands(Group& group,
                                                 std::vector<contract::Command> commands);

}  // namespace batchscope::train
