#include "engine/train/evaluator.h"

#include "engine/contract/error.h"
#include "engine/data/broken_pictures.h"
#include "engine/data/loader.h"
#include "engine/train/eval_block.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <future>
#include <system_error>

namespace batchscope::train {
namespace {

constexpr std::int64_t kPixelsPerForward = std::int64_t{4} * 512 * 512;

std::int64_t block_size(const Dataset& dataset, const EvalOptions& options) {
  if (options.batch > 0) {
    return options.batch;
  }
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    try {
      const torch::Tensor first = prepare_picture(dataset.get(i).image, options.transform).image;
      const std::int64_t pixels = first.size(1) * first.size(2);
      return std::clamp<std::int64_t>(kPixelsPerForward / std::max<std::int64_t>(pixels, 1), 1, 64);
    } catch (const contract::DataError&) {
      // Left out where it is met, and told there.
    }
  }
  return 1;
}

EvalBlock detect_block(models::Detector& model,
                       const Dataset& dataset,
                       std::int64_t number,
                       std::int64_t begin,
                       std::int64_t end,
                       const EvalOptions& options) {
  std::vector<torch::Tensor> images;
  std::vector<std::pair<std::int64_t, std::int64_t>> sizes;
  std::vector<PictureFrame> stored;
  std::vector<std::int64_t> indices;
  EvalBlock block;
  block.number = number;
  for (std::int64_t i = begin; i < end; ++i) {
    torch::Tensor image;
    try {
      image = dataset.get(i).image;
    } catch (const contract::DataError& error) {
      block.left_out.emplace_back(i, error.what());
      continue;
    }
    indices.push_back(i);
    const PreparedPicture prepared = prepare_picture(image, options.transform);
    stored.push_back(
        {dataset.image_id(i), image.size(1), image.size(2), prepared.scale_x, prepared.scale_y});
    images.push_back(prepared.image);
    sizes.emplace_back(images.back().size(1), images.back().size(2));
  }
  if (images.empty()) {
    return block;
  }
  const torch::Tensor batch =
      pad_batch(images, options.transform.size_divisor).to(options.device, options.dtype);
  const std::vector<models::Detection> detections = model.detect(batch, sizes);
  for (std::size_t i = 0; i < detections.size(); ++i) {
    block.add(dataset,
              indices[i],
              found_objects(detections[i], stored[i], [&dataset](std::int64_t label) {
                return dataset.category_id(label);
              }));
  }
  return block;
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

/// What rank 0 has heard of pictures that could not be read, on all ranks.
std::vector<std::string> share_left_out(const std::vector<EvalBlock>& blocks, Group& group) {
  std::string bytes;
  for (const EvalBlock& block : blocks) {
    for (const auto& [index, why] : block.left_out) {
      bytes += why;
      bytes.push_back('\0');
    }
  }
  bytes = group.broadcast_bytes(bytes, 0);
  std::vector<std::string> reasons;
  for (std::size_t at = 0; at < bytes.size(); at += reasons.back().size() + 1) {
    reasons.emplace_back(bytes.c_str() + at);
  }
  return reasons;
}

using Figures = std::map<std::string, double>;

/// What rank 0 has computed, and nothing on the others; its error on all of them.
Figures settle(std::future<Figures>& computed, Group& group) {
  Figures figures;
  std::exception_ptr failure;
  std::string sentence;
  if (computed.valid()) {
    try {
      figures = computed.get();
    } catch (const std::exception& error) {
      failure = std::current_exception();
      sentence = error.what();
      if (sentence.empty()) {
        sentence = "Rank 0 could not compute the figures.";
      }
    }
  }
  sentence = group.broadcast_bytes(sentence, 0);
  if (failure) {
    std::rethrow_exception(failure);
  }
  if (!sentence.empty()) {
    throw contract::DataError(sentence);
  }
  return figures;
}

/// score_blocks() in a thread of its own, whose failure to start is a failure to compute.
std::future<Figures> compute(const Dataset& dataset,
                             std::int64_t pictures,
                             std::vector<EvalBlock>& blocks) {
  try {
    return std::async(std::launch::async, [&dataset, &blocks, pictures] {
      return score_blocks(dataset, pictures, std::move(blocks));
    });
  } catch (const std::system_error&) {
    std::promise<Figures> none;
    none.set_exception(std::current_exception());
    return none.get_future();
  }
}

/// score_blocks() on rank 0. The truth of thousands of pictures may take it longer than the group's
/// timeout: it says meanwhile that it is there.
Figures score_together(const Dataset& dataset,
                       std::int64_t pictures,
                       std::vector<EvalBlock>& blocks,
                       Group& group,
                       std::chrono::milliseconds keep_alive,
                       const std::function<void()>& beat) {
  std::future<Figures> computed;
  if (group.rank() == 0) {
    computed = compute(dataset, pictures, blocks);
  }
  const auto goes_on = [&] {
    const bool ready =
        computed.valid() && computed.wait_for(keep_alive) == std::future_status::ready;
    return group.broadcast_bytes(ready ? "" : "wait", 0) == "wait";
  };
  while (goes_on()) {
    if (beat) {
      beat();
    }
  }
  return settle(computed, group);
}

}  // namespace

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
  std::vector<EvalBlock> blocks;  // of all ranks, on rank 0
  // Round by round, so that no rank is silent for longer than a block takes: one that waited for a
  // slower one to end all its blocks would take it for lost.
  for (std::int64_t round = 0; round * group.size() * size < result.pictures; ++round) {
    const std::int64_t number = round * group.size() + group.rank();
    const std::int64_t begin = std::min(result.pictures, number * size);
    const std::int64_t end = std::min(result.pictures, begin + size);
    std::vector<EvalBlock> mine;
    if (begin < end) {
      mine.push_back(detect_block(model, dataset, number, begin, end, options));
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
  result.left_out = share_left_out(blocks, group);
  const auto broken = static_cast<std::int64_t>(result.left_out.size());
  if (broken > allowed_broken(result.pictures, options.max_broken)) {
    throw contract::DataError(
        too_many_broken(broken, result.pictures, "validation", result.left_out.back()));
  }
  result.metrics = share(
      score_together(dataset, result.pictures, blocks, group, options.keep_alive, beat), group);
  result.pictures -= broken;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace batchscope::train
