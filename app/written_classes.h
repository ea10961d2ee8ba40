#pragma once

#include "app/class_match.h"
#include "engine/contract/run_spec.h"

#include <string>

namespace batchscope::app {

/// Under which category ids a detector's results are written: those of `categories`, a COCO file or
/// a list of names; else those of the data that it was trained on, as its checkpoint says. Where it
/// does not say (an older checkpoint, a weight file), those of the COCO file `image_ids` or of the
/// annotations that it was trained on, by name; else 1 to C, with a note that they are made up.
/// Files: empty for none. `data` is of the detector's spec. Throws contract::DataError as
/// match_classes() does.
ClassMatch written_classes(const ModelClasses& model,
                           const contract::DataSection& data,
                           const std::string& categories,
                           const std::string& image_ids);

}  // namespace batchscope::app
