#include "engine/train/evaluator.h"

#include "engine/data/loader.h"
#include "engine/metrics/coco_metrics.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace batchscope::train {
namespace {

constexpr std::int64_t kPixelsPerForward = std::int64_t{4} * 512 * 512;

/// The detections of one block of pictures, as they travel between ranks.
struct Block {
  std::int64_t number = 0;
  std::vector<EvalDetection> found;
};

std::string pack(const std::vector<Block>& blocks) {
  std::string bytes;
  const auto put = [&bytes](const void* data, std::size_t size) {
    bytes.append(static_cast<const char*>(data), size);
  };
  for (const Block& block : blocks) {
    const auto count = static_cast<std::int64_t>(block.found.size());
    put(&block.number, sizeof block.number);
    put(&count, sizeof count);
    put(block.found.data(), block.found.size() * sizeof(EvalDetection));
  }
  return bytes;
}

void unpack(const std::string& bytes, std::vector<Block>& blocks) {
  std::size_t at = 0;
  const auto get = [&](void* data, std::size_t size) {
    std::memcpy(data, bytes.data() + at, size);
    at += size;
  };
  while (at < bytes.size()) {
    Block block;
    std::int64_t count = 0;
    get(&block.number, sizeof block.number);
    get(&count, sizeof count);
    block.found.resize(static_cast<std::size_t>(count));
    get(block.found.data(), block.found.size() * sizeof(EvalDetection));
    blocks.push_back(std::move(block));
  }
}

std::int64_t block_size(const Dataset& dataset, const EvalOptions& options) {
  if (options.batch > 0) {
    return options.batch;
  }
  const torch::Tensor first = prepare_picture(dataset.get(0).image, options.transform).image;
  const std::int64_t pixels = first.size(1) * first.size(2);
  return std::clamp<std::int64_t>(kPixelsPerForward / std::max<std::int64_t>(pixels, 1), 1, 64);
}

std::vector<EvalDetection> detect_block(models::Detector& model,
                                        const Dataset& dataset,
                                        std::int64_t begin,
                                        std::int64_t end,
                                        const EvalOptions& options) {
  std::vector<torch::Tensor> images;
  std::vector<std::pair<std::int64_t, std::int64_t>> sizes;
  std::vector<PreparedPicture> prepared;
  for (std::int64_t i = begin; i < end; ++i) {
    prepared.push_back(prepare_picture(dataset.get(i).image, options.transform));
    images.push_back(prepared.back().image);
    sizes.emplace_back(images.back().size(1), images.back().size(2));
  }
  const torch::Tensor batch =
      pad_batch(images, options.transform.size_divisor).to(options.device, options.dtype);
  const std::vector<models::Detection> detections = model.detect(batch, sizes);
  std::vector<EvalDetection> found;
  for (std::size_t i = 0; i < detections.size(); ++i) {
    const auto boxes = detections[i].boxes.to(torch::kCPU, torch::kFloat64).contiguous();
    const auto labels = detections[i].labels.to(torch::kCPU, torch::kInt64).contiguous();
    const auto scores = detections[i].scores.to(torch::kCPU, torch::kFloat64).contiguous();
    const auto* box = boxes.const_data_ptr<double>();
    for (std::int64_t k = 0; k < boxes.size(0); ++k, box += 4) {
      EvalDetection d;
      d.image = dataset.image_id(begin + static_cast<std::int64_t>(i));
      d.category = dataset.category_id(labels.const_data_ptr<std::int64_t>()[k]);
      d.x = box[0] / prepared[i].scale_x;
      d.y = box[1] / prepared[i].scale_y;
      d.w = (box[2] - box[0]) / prepared[i].scale_x;
      d.h = (box[3] - box[1]) / prepared[i].scale_y;
      d.score = scores.const_data_ptr<double>()[k];
      found.push_back(d);
    }
  }
  return found;
}

std::map<std::string, double> score(const Dataset& dataset,
                                    std::int64_t pictures,
                                    std::vector<Block>& blocks) {
  std::sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) {
    return a.number < b.number;
  });
  CocoSet set;
  for (const Block& block : blocks) {
    set.detections.insert(set.detections.end(), block.found.begin(), block.found.end());
  }
  for (std::int64_t i = 0; i < pictures; ++i) {
    set.images.push_back(dataset.image_id(i));
    for (const TruthBox& t : dataset.truth(i)) {
      set.truth.push_back(
          {set.images.back(), dataset.category_id(t.label), t.x, t.y, t.w, t.h, t.area, t.crowd});
    }
  }
  for (std::size_t label = 1; label <= dataset.classes().size(); ++label) {
    set.categories.push_back(dataset.category_id(static_cast<std::int64_t>(label)));
  }
  return coco_metrics(set).metrics;
}

/// Rank 0's figures on all ranks, bit for bit.
std::map<std::string, double> share(const std::map<std::string, double>& metrics, Group& group) {
  std::string bytes;
  for (const auto& [name, value] : metrics) {
    bytes += name;
    bytes.push_back('\0');
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  bytes = group.broadcast_bytes(bytes, 0);
  std::map<std::string, double> shared;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::string name = bytes.c_str() + at;
    at += name.size() + 1;
    std::memcpy(&shared[name], bytes.data() + at, sizeof(double));
    at += sizeof(double);
  }
  return shared;
}

}  // namespace

models::InputTransform input_transform(const models::Detector& model,
                                       std::int64_t min_size,
                                       std::int64_t max_size) {
  models::InputTransform transform = model.input_transform();
  if (min_size > 0) {
    transform.min_size = min_size;
    transform.max_size = max_size;
  }
  return transform;
}

EvalResult evaluate(models::Detector& model,
                    const Dataset& dataset,
                    Group& group,
                    const EvalOptions& options,
                    const std::function<void()>& beat) {
  const auto start = std::chrono::steady_clock::now();
  EvalResult result;
  result.pictures =
      options.max_pictures > 0 ? std::min(options.max_pictures, dataset.size()) : dataset.size();
  const std::int64_t size = block_size(dataset, options);
  model.eval();
  std::vector<Block> blocks;  // of all ranks, on rank 0
  // Round by round, so that no rank is silent for longer than a block takes: one that waited for a
  // slower one to end all its blocks would take it for lost.
  for (std::int64_t round = 0; round * group.size() * size < result.pictures; ++round) {
    const std::int64_t number = round * group.size() + group.rank();
    const std::int64_t begin = std::min(result.pictures, number * size);
    const std::int64_t end = std::min(result.pictures, begin + size);
    std::vector<Block> mine;
    if (begin < end) {
      mine.push_back({number, detect_block(model, dataset, begin, end, options)});
    }
    const std::vector<std::string> all = group.all_gather_bytes(pack(mine));
    for (std::size_t r = 0; group.rank() == 0 && r < all.size(); ++r) {
      unpack(all[r], blocks);
    }
    if (beat) {
      beat();
    }
  }
  model.train();
  if (group.rank() == 0) {
    result.metrics = score(dataset, result.pictures, blocks);
  }
  result.metrics = share(result.metrics, group);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace batchscope::train
