#pragma once

#include "models/factory.h"
#include "models/faster_rcnn.h"
#include "models/panoptic_fpn.h"
#include "models/retinanet.h"
#include "models/semantic_fpn.h"

#include <memory>

/// The options of the detectors by torchvision's builder names, and of their small relatives.
/// Every function throws std::invalid_argument for what its model does not have.
namespace batchscope::models {

enum class HeadVersion { kV1, kV2 };

/// torchvision's fasterrcnn_resnet50_fpn or maskrcnn_resnet50_fpn, or their _v2: the defaults of
/// the builder, with the classes, sizes, norm, backbone and trainable layers of `options`.
/// options.norm is that of the body, but for swin_t, which has its own; where v2 has norms in the
/// pyramid and the heads too, they are gn if the body's are, else bn.
FasterRcnnOptions faster_rcnn_options(const ModelOptions& options, HeadVersion version, bool masks);

/// torchvision's retinanet_resnet50_fpn or its _v2, alike; v2's heads have gn.
RetinaNetOptions retinanet_options(const ModelOptions& options, HeadVersion version);

/// About 1.1 million parameters, for training from scratch on a CPU: one residual block per layer
/// of 32, 64, 96 and 128 channels, a pyramid of 64, 64 regions a picture. Pictures are resized to
/// 240 (short side) and at most 320 px. options.norm: gn, frozen or bn.
FasterRcnnOptions tiny_faster_rcnn_options(const ModelOptions& options);

/// The same body and pyramid under masks of 28 bins (tiny_mask_rcnn) or dense heads
/// (tiny_retinanet).
FasterRcnnOptions tiny_mask_rcnn_options(const ModelOptions& options);
RetinaNetOptions tiny_retinanet_options(const ModelOptions& options);

/// Semantic FPN and Panoptic FPN of Kirillov et al. 2019 on the body, pyramid and Mask R-CNN of
/// torchvision's v1 builders. Stuff below 4096 px stays void at the default picture size, and in
/// proportion at another.
SemanticFpnOptions semantic_fpn_options(const ModelOptions& options);
PanopticFpnOptions panoptic_fpn_options(const ModelOptions& options);
/// The same heads, half as wide, on the small body and pyramid.
SemanticFpnOptions tiny_semantic_fpn_options(const ModelOptions& options);
PanopticFpnOptions tiny_panoptic_fpn_options(const ModelOptions& options);

}  // namespace batchscope::models
