#pragma once

#include <string>
#include <utility>
#include <vector>

namespace batchscope::models {

/// The name that torchvision gives a tensor today, for one of its names before 0.13 (the
/// convolutions of FPN, RPN, RetinaNet's heads and Mask R-CNN's head were not blocks then); other
/// names as they are. Source: _load_from_state_dict in torchvision's rpn.py,
/// feature_pyramid_network.py, retinanet.py and mask_rcnn.py. The "_orig_mod." of torch.compile is
/// left out wherever it stands.
std::string current_name(const std::string& name);

/// current_name() of all names of a state_dict, without the "module." of DataParallel and DDP where
/// every name begins with it.
std::vector<std::string> current_names(const std::vector<std::string>& names);

}  // namespace batchscope::models
