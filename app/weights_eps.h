#pragma once

#include "engine/contract/run_spec.h"

#include <optional>

namespace batchscope::app {

/// The eps that the spec's norms need: model.norm_eps; without it, for frozen norms alone, that of
/// the run whose checkpoint model.weights is (in its folder), or 0 where the file has the name of
/// one of torchvision's first COCO files (*_fpn_coco-*.pth). None: torch's 1e-5.
std::optional<double> weights_eps(const contract::ModelSection& model);

}  // namespace batchscope::app
