#pragma once

#include "engine/contract/run_spec.h"

namespace batchscope::contract {

/// `spec` with those settings of `asked` that the numbers of a training do not depend on: they may
/// change in a run that goes on. Where the data lies is one of them, its checksum decides; the
/// number of ranks another, since accumulation makes up for it.
RunSpec with_settings_of(RunSpec spec, const RunSpec& asked);

}  // namespace batchscope::contract
