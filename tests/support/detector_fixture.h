#pragma once

#include "models/factory.h"

#include <torch/nn/module.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

/// The C++ half of tests/fixtures/models/make_detectors.py: the same weights, pictures and truth.
namespace batchscope::testing {

/// Pictures of 96x120 and 90x128 px in a batch of 96x128, float64.
struct DetectorBatch {
  torch::Tensor images;
  std::vector<std::pair<std::int64_t, std::int64_t>> sizes;
  std::vector<models::Target> targets;
};

torch::Generator generator(std::uint64_t seed);

/// Parameters and buffers by name, in the order of the names.
std::map<std::string, torch::Tensor> sorted_state(const torch::nn::Module& model);

/// The fixture's weights, from the sorted names alone.
void fill_weights(torch::nn::Module& model);

/// Pictures from this seed, with the fixture's truth: 5 and 2 boxes of 5 classes, and masks.
DetectorBatch make_batch(std::uint64_t seed);

torch::Tensor total(const models::Losses& losses);

}  // namespace batchscope::testing
