#pragma once

#include "models/factory.h"
#include "models/faster_rcnn.h"
#include "models/retinanet.h"

/// What ModelOptions change of a builder's own options. Failures are std::invalid_argument, one
/// sentence that names the key of a spec's [model].
namespace batchscope::models {

/// Anchors of five levels: sizes finest, 2 finest, … times the scales, in shapes 0.5, 1 and 2; or
/// what `changes` say of each.
AnchorOptions pyramid_anchors(const AnchorChanges& changes,
                              std::int64_t finest,
                              const std::vector<double>& scales);

/// Thresholds, samplers, limits and pools; the anchors are made by the builder.
void change(FasterRcnnOptions& own, const ModelOptions& options);
void change(RetinaNetOptions& own, const ModelOptions& options);

/// What a model is made of, as far as it can be changed.
enum class ModelKind { kLab, kTwoStages, kOneStage, kSemantic };

/// Refuses changes of what a model of this kind does not have.
void check_changes(const ModelOptions& options, ModelKind kind, const TargetNeeds& needs);

}  // namespace batchscope::models
