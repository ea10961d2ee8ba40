#pragma once

#include "app/run_fork.h"
#include "engine/train/training_setup.h"

namespace batchscope::app {

/// How a trainer begins a fork.
train::ResumePoint fork_point(const ForkNote& note);

}  // namespace batchscope::app
