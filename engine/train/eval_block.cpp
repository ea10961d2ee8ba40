#include "engine/train/eval_block.h"

#include "engine/contract/error.h"
#include "engine/metrics/openimages.h"
#include "engine/metrics/semantic.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace batchscope::train {
namespace {

class Packer {
 public:
  template <typename T>
  void value(const T& v) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  template <typename T>
  void list(const std::vector<T>& v) {
    value(v.size());
    bytes_.append(reinterpret_cast<const char*>(v.data()), v.size() * sizeof(T));
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Unpacker {
 public:
  explicit Unpacker(const std::string& bytes) : bytes_(bytes) {}
  bool more() const { return at_ < bytes_.size(); }
  template <typename T>
  T value() {
    T v;
    copy(&v, sizeof v);
    return v;
  }
  template <typename T>
  std::vector<T> list() {
    std::vector<T> v(value<std::size_t>());
    copy(v.data(), v.size() * sizeof(T));
    return v;
  }

 private:
  void copy(void* to, std::size_t size) {
    if (size > 0) {
      std::memcpy(to, bytes_.data() + at_, size);
    }
    at_ += size;
  }
  const std::string& bytes_;
  std::size_t at_ = 0;
};

void require_size(const LabelMap& truth, const LabelMap& found, const std::string& picture) {
  if (truth.height != found.height || truth.width != found.width) {
    const auto by = [](const LabelMap& map) {
      return std::to_string(map.width) + "x" + std::to_string(map.height);
    };
    throw contract::DataError("The labels of picture " + picture + " have " + by(truth) +
                              " pixels; expected those of the picture, " + by(found) + ".");
  }
}

}  // namespace

void EvalBlock::add(const Dataset& dataset, std::int64_t index, FoundObjects found) {
  const std::string name = std::to_string(dataset.image_id(index));
  const bool maps_only = found.semantic && !found.segments;
  boxes = boxes || !maps_only;
  masks = masks || !found.masks.empty();
  objects.insert(objects.end(), found.objects.begin(), found.objects.end());
  std::move(found.masks.begin(), found.masks.end(), std::back_inserter(object_masks));
  if (found.semantic) {
    if (const auto truth = dataset.semantic_truth(index)) {
      require_size(*truth, *found.semantic, name);
      semantic = true;
      const std::vector<LabelPair> pairs = count_pairs(*truth, *found.semantic);
      pixels.insert(pixels.end(), pairs.begin(), pairs.end());
    }
  }
  if (found.segments) {
    if (const auto truth = dataset.panoptic_truth(index)) {
      require_size(truth->map, found.segments->map, name);
      panoptic = true;
      PanopticTotals totals;
      count_panoptic(
          truth->map, truth->segments, found.segments->map, found.segments->segments, totals);
      for (const auto& [category, counts] : totals) {
        matches[category] += counts;
      }
    }
  }
}

std::string pack(const std::vector<EvalBlock>& blocks) {
  Packer out;
  for (const EvalBlock& b : blocks) {
    out.value(b.number);
    for (const bool flag : {b.boxes, b.masks, b.semantic, b.panoptic}) {
      out.value(flag);
    }
    out.list(b.objects);
    out.value(b.object_masks.size());
    for (const Rle& mask : b.object_masks) {
      out.value(mask.height);
      out.value(mask.width);
      out.list(mask.counts);
    }
    out.list(b.pixels);
    out.value(b.matches.size());
    for (const auto& [category, counts] : b.matches) {
      out.value(category);
      out.value(counts);
    }
    out.value(b.left_out.size());
    for (const auto& [index, why] : b.left_out) {
      out.value(index);
      out.list(std::vector<char>(why.begin(), why.end()));
    }
  }
  return out.take();
}

void unpack(const std::string& bytes, std::vector<EvalBlock>& blocks) {
  for (Unpacker in(bytes); in.more();) {
    EvalBlock b;
    b.number = in.value<std::int64_t>();
    for (bool* flag : {&b.boxes, &b.masks, &b.semantic, &b.panoptic}) {
      *flag = in.value<bool>();
    }
    b.objects = in.list<EvalDetection>();
    b.object_masks.resize(in.value<std::size_t>());
    for (Rle& mask : b.object_masks) {
      mask.height = in.value<std::uint32_t>();
      mask.width = in.value<std::uint32_t>();
      mask.counts = in.list<std::uint32_t>();
    }
    b.pixels = in.list<LabelPair>();
    for (auto left = in.value<std::size_t>(); left > 0; --left) {
      const auto category = in.value<std::int64_t>();
      b.matches[category] = in.value<PanopticCounts>();
    }
    for (auto left = in.value<std::size_t>(); left > 0; --left) {
      const auto index = in.value<std::int64_t>();
      const auto why = in.list<char>();
      b.left_out.emplace_back(index, std::string(why.begin(), why.end()));
    }
    blocks.push_back(std::move(b));
  }
}

namespace {

/// Indices of the first `pictures` pictures without those that were left out.
std::vector<std::int64_t> scored_pictures(std::int64_t pictures,
                                          const std::vector<EvalBlock>& blocks) {
  std::set<std::int64_t> out;
  for (const EvalBlock& block : blocks) {
    for (const auto& [index, why] : block.left_out) {
      out.insert(index);
    }
  }
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < pictures; ++i) {
    if (!out.contains(i)) {
      indices.push_back(i);
    }
  }
  return indices;
}

CocoSet block_boxes(const Dataset& dataset, const std::vector<std::int64_t>& pictures) {
  CocoSet set;
  for (const std::int64_t i : pictures) {
    set.images.push_back(dataset.image_id(i));
    for (const TruthBox& t : dataset.truth(i)) {
      set.truth.push_back({set.images.back(),
                           dataset.category_id(t.label),
                           t.x,
                           t.y,
                           t.w,
                           t.h,
                           t.area,
                           t.crowd,
                           t.unmatched});
    }
  }
  for (std::int64_t label = 1; label <= dataset.things(); ++label) {
    set.categories.push_back(dataset.category_id(label));
  }
  return set;
}

/// Puts the masks of truth and detections into the set; false where the data set has none.
bool add_masks(const Dataset& dataset,
               const std::vector<std::int64_t>& pictures,
               std::vector<EvalBlock>& blocks,
               CocoSet& set) {
  for (const std::int64_t i : pictures) {
    auto masks = dataset.truth_masks(i);
    if (!masks) {
      return false;
    }
    std::move(masks->begin(), masks->end(), std::back_inserter(set.truth_masks));
  }
  for (EvalBlock& block : blocks) {
    std::move(block.object_masks.begin(),
              block.object_masks.end(),
              std::back_inserter(set.detection_masks));
  }
  for (std::size_t k = 0; k < set.detections.size(); ++k) {
    set.detections[k].area = static_cast<double>(rle_area(set.detection_masks[k]));
  }
  set.masks = true;
  return true;
}

void add_panoptic(const Dataset& dataset,
                  const std::vector<EvalBlock>& blocks,
                  std::map<std::string, double>& metrics) {
  PanopticTotals totals;
  for (const EvalBlock& block : blocks) {
    for (const auto& [category, counts] : block.matches) {
      totals[category] += counts;
    }
  }
  std::vector<PanopticCategory> categories;
  for (std::size_t i = 0; i < dataset.classes().size(); ++i) {
    const auto label = static_cast<std::int64_t>(i) + 1;
    categories.push_back(
        {dataset.category_id(label), dataset.classes()[i], label <= dataset.things()});
  }
  const std::pair<const char*, PanopticPart> parts[] = {
      {"", PanopticPart::kAll}, {"_th", PanopticPart::kThings}, {"_st", PanopticPart::kStuff}};
  for (const auto& [suffix, part] : parts) {
    const PanopticQuality quality = panoptic_quality(totals, categories, part);
    metrics[std::string("PQ") + suffix] = quality.pq;
    metrics[std::string("SQ") + suffix] = quality.sq;
    metrics[std::string("RQ") + suffix] = quality.rq;
  }
}

double mean_iou(const Dataset& dataset, const std::vector<EvalBlock>& blocks) {
  std::set<std::uint32_t> known;
  for (std::uint32_t label = 1; label <= dataset.classes().size(); ++label) {
    known.insert(label);
  }
  SemanticCounts counts({0}, known);
  for (const EvalBlock& block : blocks) {
    counts.add(block.pixels);
  }
  return counts.metrics().at("mIoU");
}

}  // namespace

std::map<std::string, double> score_blocks(const Dataset& dataset,
                                           std::int64_t pictures,
                                           std::vector<EvalBlock> blocks) {
  std::sort(blocks.begin(), blocks.end(), [](const EvalBlock& a, const EvalBlock& b) {
    return a.number < b.number;
  });
  const auto any = [&](bool EvalBlock::*flag) {
    return std::any_of(
        blocks.begin(), blocks.end(), [flag](const EvalBlock& b) { return b.*flag; });
  };
  std::map<std::string, double> metrics;
  if (any(&EvalBlock::boxes)) {
    const std::vector<std::int64_t> scored = scored_pictures(pictures, blocks);
    CocoSet set = block_boxes(dataset, scored);
    for (const EvalBlock& block : blocks) {
      set.detections.insert(set.detections.end(), block.objects.begin(), block.objects.end());
    }
    const CocoMetricOptions options{.threads = static_cast<unsigned>(at::get_num_threads())};
    metrics = coco_metrics(set, options).metrics;
    if (const OpenImagesRules* rules = dataset.openimages()) {
      metrics["OpenImages_AP50"] = openimages_ap(openimages_set(set, *rules)).ap;
    }
    if (any(&EvalBlock::masks) && add_masks(dataset, scored, blocks, set)) {
      for (const auto& [name, value] : coco_metrics(set, options).metrics) {
        metrics["segm_" + name] = value;
      }
    }
  }
  if (any(&EvalBlock::semantic)) {
    metrics["mIoU"] = mean_iou(dataset, blocks);
  }
  if (any(&EvalBlock::panoptic)) {
    add_panoptic(dataset, blocks, metrics);
  }
  return metrics;
}

}  // namespace batchscope::train
