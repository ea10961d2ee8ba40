#pragma once

#include "models/detector.h"

#include <torch/types.h>

#include <map>
#include <string>

/// How a model of the fixtures' weights (fill_weights, float64) differs from torchvision's values,
/// which tests/fixtures/models/make_detectors.py keeps: empty, or what is off.
namespace batchscope::testing {

using Values = std::map<std::string, torch::Tensor>;

/// Largest difference, relative to the largest expected magnitude; infinity for other shapes.
double difference(const torch::Tensor& found, const torch::Tensor& expected);

/// Labels and order equal, boxes to 1e-3 px, scores to 1e-6, masks to an overlap of 0.999.
std::string detections_differ(models::Detector& model,
                              const Values& expected,
                              const std::string& key);

/// Every loss with generator(23) to 1e-9, relative. Returns the sum of them in `total`.
std::string losses_differ(models::Detector& model,
                          const Values& expected,
                          const std::string& key,
                          torch::Tensor* total = nullptr);

/// Of every gradient of the last backward pass the norm and three values, to 1e-8 of the norm.
std::string gradients_differ(const models::Detector& model, const torch::Tensor& expected);

}  // namespace batchscope::testing
