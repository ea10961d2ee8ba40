#pragma once

#include "engine/contract/run_spec.h"

namespace batchscope::contract {

/// Pictures that a batch norm of this spec takes its statistics from: a micro-batch, with syncbn of
/// every rank that shares. Passes of one rank cannot share. Without batch norms: the effective
/// batch.
inline std::int64_t batch_norm_pictures(const RunSpec& spec) {
  const ModelSection& model = spec.model;
  if (model.norm == "syncbn") {
    return spec.batch.micro * (model.syncbn_group > 0 ? model.syncbn_group : spec.batch.ranks);
  }
  return model.norm == "bn" ? spec.batch.micro : spec.batch.effective();
}

}  // namespace batchscope::contract
