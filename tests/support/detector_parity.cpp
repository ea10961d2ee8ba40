#include "tests/support/detector_parity.h"

#include "models/mask_head.h"
#include "tests/support/detector_fixture.h"

#include <cmath>
#include <limits>
#include <sstream>

namespace batchscope::testing {
namespace {

double overlap(const torch::Tensor& a, const torch::Tensor& b) {
  const double either = (a + b).gt(0).sum().item<double>();
  return either == 0 ? 1 : (a * b).gt(0).sum().item<double>() / either;
}

std::string said(const std::string& what, double off) {
  std::ostringstream text;
  text << what << " off by " << off;
  return text.str();
}

double largest(const torch::Tensor& difference) {
  return difference.numel() == 0 ? 0 : difference.abs().max().item<double>();
}

/// The first masks are kept.
std::string masks_differ(const models::Detection& found,
                         std::pair<std::int64_t, std::int64_t> size,
                         const Values& expected,
                         const std::string& at) {
  const torch::Tensor masks = expected.at(at + "masks");
  const std::int64_t rows = masks.size(0);
  const torch::Tensor bins = found.mask_probabilities.narrow(0, 0, rows);
  if (const double off = largest(bins - expected.at(at + "mask_probabilities")); off > 1e-6) {
    return said(at + "mask_probabilities", off);
  }
  const torch::Tensor pasted =
      models::paste_masks(bins, found.boxes.narrow(0, 0, rows), size.first, size.second);
  for (std::int64_t k = 0; k < rows; ++k) {
    if (const double same = overlap(pasted[k], masks[k]); same <= 0.999) {
      return said(at + "mask " + std::to_string(k), 1 - same);
    }
  }
  return {};
}

}  // namespace

double difference(const torch::Tensor& found, const torch::Tensor& expected) {
  if (found.sizes() != expected.sizes()) {
    return std::numeric_limits<double>::infinity();
  }
  if (expected.numel() == 0) {
    return 0;
  }
  const torch::Tensor e = expected.to(torch::kFloat64);
  return ((found.to(torch::kFloat64) - e).abs().max() / e.abs().max().clamp_min(1e-12))
      .item<double>();
}

std::string detections_differ(models::Detector& model,
                              const Values& expected,
                              const std::string& key) {
  const auto batch = make_batch(31);
  const auto found = model.detect(batch.images, batch.sizes);
  for (std::size_t i = 0; i < batch.sizes.size(); ++i) {
    const std::string at = key + "found" + std::to_string(i) + ".";
    const torch::Tensor labels = expected.at(at + "labels");
    if (labels.numel() == 0 || !torch::equal(found.at(i).labels, labels)) {
      return at + "labels";
    }
    if (const double off = largest(found[i].boxes - expected.at(at + "boxes")); off > 1e-3) {
      return said(at + "boxes", off);
    }
    if (const double off = largest(found[i].scores - expected.at(at + "scores")); off > 1e-6) {
      return said(at + "scores", off);
    }
    const bool masks = expected.contains(at + "masks");
    if (found[i].mask_probabilities.defined() != masks) {
      return at + "masks are not where they should be";
    }
    if (masks) {
      if (auto text = masks_differ(found[i], batch.sizes[i], expected, at); !text.empty()) {
        return text;
      }
    }
  }
  return {};
}

std::string losses_differ(models::Detector& model,
                          const Values& expected,
                          const std::string& key,
                          torch::Tensor* total_loss) {
  const auto batch = make_batch(31);
  const auto losses = model.losses(batch.images, batch.sizes, batch.targets, generator(23));
  for (const auto& [name, loss] : losses) {
    const double wanted = expected.at(key + name).item<double>();
    if (const double off = std::abs(loss.item<double>() - wanted); off > 1e-9 * std::abs(wanted)) {
      return said(key + name, off);
    }
  }
  if (total_loss != nullptr) {
    *total_loss = total(losses);
  }
  return {};
}

std::string gradients_differ(const models::Detector& model, const torch::Tensor& expected) {
  std::vector<torch::Tensor> rows;
  for (const auto& [name, value] : sorted_state(model)) {
    if (value.requires_grad()) {
      const auto flat = value.grad().contiguous().flatten();
      rows.push_back(torch::stack({flat.norm(), flat[0], flat[flat.numel() / 2], flat[-1]}));
    }
  }
  if (static_cast<std::int64_t>(rows.size()) != expected.size(0)) {
    return std::to_string(rows.size()) + " gradients";
  }
  // Values of a tensor are compared on the scale of its norm.
  const double off =
      ((torch::stack(rows) - expected).abs() / expected.narrow(1, 0, 1)).max().item<double>();
  return off < 1e-8 ? "" : said("gradients", off);
}

}  // namespace batchscope::testing
