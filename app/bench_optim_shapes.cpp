#include "app/bench_optim_shapes.h"

#include <algorithm>

namespace batchscope {
namespace {

enum Module : std::int64_t { kBackbone, kFpn, kRpn, kRoiHead };

class Shapes {
 public:
  explicit Shapes(std::int64_t shrink) : shrink_(shrink) {}

  void conv(const std::string& name,
            Module module,
            std::int64_t out,
            std::int64_t in,
            std::int64_t side,
            bool bias) {
    add(name + ".weight", module, {wide(out), wide(in), side, side});
    if (bias) {
      add(name + ".bias", module, {wide(out)});
    }
  }
  void linear(const std::string& name, std::int64_t out, std::int64_t in) {
    add(name + ".weight", kRoiHead, {wide(out), wide(in)});
    add(name + ".bias", kRoiHead, {wide(out)});
  }
  void norm(const std::string& name, std::int64_t channels) {
    add(name + ".weight", kBackbone, {wide(channels)});
    add(name + ".bias", kBackbone, {wide(channels)});
  }
  /// One stage of bottlenecks; torchvision lists the downsampling last in its block.
  void stage(int number, int blocks, std::int64_t in, std::int64_t width) {
    for (int b = 0; b < blocks; ++b) {
      const std::string base =
          "backbone.body.layer" + std::to_string(number) + "." + std::to_string(b) + ".";
      const std::int64_t before = b == 0 ? in : 4 * width;
      conv(base + "conv1", kBackbone, width, before, 1, false);
      norm(base + "bn1", width);
      conv(base + "conv2", kBackbone, width, width, 3, false);
      norm(base + "bn2", width);
      conv(base + "conv3", kBackbone, 4 * width, width, 1, false);
      norm(base + "bn3", 4 * width);
      if (b == 0) {
        conv(base + "downsample.0", kBackbone, 4 * width, in, 1, false);
        norm(base + "downsample.1", 4 * width);
      }
    }
  }
  std::vector<BenchShape> list;

 private:
  std::int64_t wide(std::int64_t channels) const {
    return channels < 4 ? channels : std::max<std::int64_t>(1, channels / shrink_);
  }
  void add(const std::string& name, Module module, std::vector<std::int64_t> shape) {
    list.push_back({name, module, std::move(shape)});
  }
  std::int64_t shrink_;
};

}  // namespace

std::vector<BenchShape> frcnn_shapes(std::int64_t shrink) {
  constexpr std::int64_t kPyramid = 256, kHidden = 1024, kClasses = 91, kAnchors = 3;
  Shapes shapes(shrink);
  shapes.conv("backbone.body.conv1", kBackbone, 64, 3, 7, false);
  shapes.norm("backbone.body.bn1", 64);
  shapes.stage(1, 3, 64, 64);
  shapes.stage(2, 4, 256, 128);
  shapes.stage(3, 6, 512, 256);
  shapes.stage(4, 3, 1024, 512);
  for (int level = 0; level < 4; ++level) {
    shapes.conv("backbone.fpn.inner_blocks." + std::to_string(level) + ".0",
                kFpn,
                kPyramid,
                256L << level,
                1,
                true);
  }
  for (int level = 0; level < 4; ++level) {
    shapes.conv("backbone.fpn.layer_blocks." + std::to_string(level) + ".0",
                kFpn,
                kPyramid,
                kPyramid,
                3,
                true);
  }
  shapes.conv("rpn.head.conv.0.0", kRpn, kPyramid, kPyramid, 3, true);
  shapes.conv("rpn.head.cls_logits", kRpn, kAnchors, kPyramid, 1, true);
  shapes.conv("rpn.head.bbox_pred", kRpn, 4 * kAnchors, kPyramid, 1, true);
  shapes.linear("roi_heads.box_head.fc6", kHidden, 49 * kPyramid);
  shapes.linear("roi_heads.box_head.fc7", kHidden, kHidden);
  shapes.linear("roi_heads.box_predictor.cls_score", kClasses, kHidden);
  shapes.linear("roi_heads.box_predictor.bbox_pred", 4 * kClasses, kHidden);
  return shapes.list;
}

}  // namespace batchscope
