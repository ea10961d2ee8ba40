#include "models/panoptic_fpn.h"

#include "models/batch_checks.h"
#include "models/init.h"
#include "models/mask_head.h"
#include "models/module_groups.h"

#include <torch/utils.h>

namespace batchscope::models {
namespace {

constexpr std::int64_t kLevels = 4;  // strides 4…32; the pyramid's top level is the RPN's alone
constexpr const char* kLoss = "loss_semantic";
/// Parts the random numbers of the head's weights from those of the rest, which are Mask R-CNN's.
constexpr std::uint64_t kHeadStream = 0x5eb0a71c;

}  // namespace

PanopticFpn::PanopticFpn(const PanopticFpnOptions& options)
    : options_(options), instances_(std::make_shared<FasterRcnn>(options.instances)) {
  for (const auto& child : instances_->named_children()) {
    register_module(child.key(), child.value());
  }
  semantic_head_ = register_module(
      "semantic_head",
      SemanticHead(options.instances.backbone.fpn.channels, kLevels, options.semantic));
  auto generator = init::make_generator(options.instances.seed ^ kHeadStream);
  semantic_head_->initialise(generator);
}

Losses PanopticFpn::losses(const torch::Tensor& images,
                           const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                           const std::vector<Target>& targets,
                           torch::Generator generator) {
  const std::int64_t things = options_.instances.roi_heads.num_classes - 1;
  const std::int64_t stuff = options_.semantic.num_classes - 1;
  check_images(options_.instances.name, images, sizes, options_.instances.input.size_divisor);
  check_targets(options_.instances.name,
                targets,
                sizes,
                {.num_classes = things, .masks = true, .semantic_labels = things + stuff});
  const auto features = instances_->features(images, generator);
  Losses losses = instances_->losses_on(
      features, {images.size(2), images.size(3)}, sizes, targets, std::move(generator));
  losses.emplace_back(kLoss, semantic_head_->loss(semantic_head_->forward(features), targets));
  return losses;
}

std::vector<Detection> PanopticFpn::detect(
    const torch::Tensor& images, const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) {
  check_images(options_.instances.name, images, sizes, options_.instances.input.size_divisor);
  const torch::NoGradGuard no_grad;
  const auto features = instances_->features(images);
  auto found = instances_->detect_on(features, {images.size(2), images.size(3)}, sizes);
  const torch::Tensor logits = semantic_head_->forward(features);
  for (std::size_t i = 0; i < found.size(); ++i) {
    add_segments(found[i], logits[static_cast<std::int64_t>(i)], sizes[i]);
  }
  return found;
}

void PanopticFpn::add_segments(Detection& found,
                               const torch::Tensor& logits,
                               std::pair<std::int64_t, std::int64_t> size) const {
  const std::int64_t things = options_.instances.roi_heads.num_classes - 1;
  const torch::Tensor classes = best_classes(logits, size).to(torch::kCPU);
  const torch::Tensor stuff =
      (best_classes(logits.slice(0, 1), size) + (things + 1)).to(torch::kCPU);
  const auto joining = (found.scores >= options_.merge.min_score).sum().item<std::int64_t>();
  const torch::Tensor masks = paste_masks(found.mask_probabilities.narrow(0, 0, joining),
                                          found.boxes.narrow(0, 0, joining),
                                          size.first,
                                          size.second);
  const auto segments =
      merge_panoptic(found, masks, stuff.masked_fill(classes == 0, 0), options_.merge);
  const torch::Tensor label_of = torch::cat({torch::zeros({1}, torch::kInt64), segments.labels});
  const torch::Tensor labels =
      label_of.index_select(0, segments.map.flatten().to(torch::kInt64)).view(stuff.sizes());
  found.semantic = torch::where(labels > 0, labels, stuff).to(torch::kInt16);
  found.segments = segments.map;
  found.segment_labels = segments.labels;
}

std::vector<ModuleGroup> PanopticFpn::module_groups() const {
  auto rules = FasterRcnn::group_rules();
  rules.push_back({"semantic_head", {"semantic_head."}});
  return group_parameters(*this, rules);
}

std::vector<std::string> PanopticFpn::loss_names() const {
  auto names = instances_->loss_names();
  names.emplace_back(kLoss);
  return names;
}

}  // namespace batchscope::models
