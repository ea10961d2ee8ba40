#pragma once

#include "models/weights/weight_index.h"

namespace batchscope::models {

/// index_weights() of a zip file as torch.save writes it: the pickle of its record data.pkl, whose
/// storages are records of their own. Only plainly stored records are read. Throws WeightError.
WeightIndex index_zip(const ByteSource& source, const std::string& key);

/// index_weights() of the format before torch 1.6: five pickles (magic number, protocol, system,
/// object, keys of storages), then each storage: its length and its bytes. Throws WeightError.
WeightIndex index_legacy(const ByteSource& source, const std::string& key);

}  // namespace batchscope::models
