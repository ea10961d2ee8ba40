#pragma once

#include "models/weights/tensor_file.h"

#include <torch/nn/module.h>

#include <string>
#include <utility>
#include <vector>

namespace batchscope::models {

/// What became of every tensor of a file and of a model. Names are the model's where it has them.
struct LoadReport {
  struct Mismatch {
    std::string name;
    std::vector<std::int64_t> in_file, in_model;
  };

  std::string file;                     // its path, and where in it the state_dict was
  std::vector<std::string> matched;     // copied
  std::vector<std::string> missing;     // in the model alone: they keep their initial values
  std::vector<std::string> unexpected;  // in the file alone
  std::vector<Mismatch> wrong_shape;    // in both, not copied
  /// Predictors whose outputs are another number of classes; these tensors keep their initial
  /// values too.
  std::vector<Mismatch> reinitialised;
  std::vector<std::pair<std::string, std::string>> renamed;  // from, to
  std::vector<std::string> notes;                            // sentences about norms and prefixes
  std::vector<std::string> other_sets;                       // where the file has weights, too

  /// Every tensor of the model came from the file.
  bool complete() const { return missing.empty() && wrong_shape.empty() && reinitialised.empty(); }
  /// All of it in one line: "348 of 356 tensors from …; 2 missing; …".
  std::string summary() const;
  /// A table of what was not copied, and on request of what was, one line per tensor; empty when
  /// there is nothing to say.
  enum class Rows { kUnfit, kAll };
  std::string table(Rows rows = Rows::kUnfit) const;
};

/// Copies the tensors of a file into the parameters and buffers of a model by name, converted to
/// the model's types. Names are taken as they are in the file, else as current_names() has them;
/// where more of them fit so, below "backbone.body." (a backbone's own file) or without a prefix
/// ("model." of a trainer's module, beside whose weights it may have others). What does not fit is
/// left as it is and reported. BatchNorm's num_batches_tracked may be on either side alone (frozen
/// norms have none). Throws WeightError if the file holds no tensors, or next to none fits: not
/// one, or less than a tenth of the model's and half of the file's.
LoadReport load_weights(torch::nn::Module& model, const TensorFile& file);

}  // namespace batchscope::models
