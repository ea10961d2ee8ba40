#include "engine/data/loader.h"

#include "cmake/torch/threads.h"
#include "engine/contract/error.h"
#include "engine/data/transforms.h"

#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace batchscope::train {
namespace {

constexpr std::chrono::milliseconds kLook{200};
constexpr int kLooksBeforeGivingUp = 10;  // a stop waits so long for a picture that is under way
constexpr std::chrono::milliseconds kPatience{
    30000};  // for threads that are reading when all is over

/// A micro-batch to be made: which pictures, and what came of it.
struct Order {
  struct Picture {
    std::int64_t epoch = 0, index = 0;
  };
  std::int64_t number = 0, first = 0;
  std::vector<Picture> pictures;
  MicroBatch batch;
  std::exception_ptr error;
  bool done = false;
};

}  // namespace

struct Loader::Impl {
  Impl(std::shared_ptr<const Dataset> set, std::uint64_t run_seed, TransformOptions options)
      : dataset(std::move(set)),
        seed(run_seed),
        transform(std::move(options)),
        normaliser(transform.input),
        pictures(*dataset, transform.max_broken),
        sampler(dataset->size(), run_seed) {}

  MicroBatch make(const Order& order);
  /// Random bits of a picture in an epoch.
  std::uint64_t bits(const Order::Picture& picture, SeedPurpose purpose) const;
  bool mirrored(const Order::Picture& picture) const;
  std::int64_t min_size(const Order::Picture& picture) const;
  void work();

  std::shared_ptr<const Dataset> dataset;
  std::uint64_t seed;
  TransformOptions transform;
  Normaliser normaliser;
  BrokenPictures pictures;
  Sampler sampler;  // consumer thread only

  mutable std::mutex mutex;
  std::condition_variable work_to_do, batch_done;
  std::deque<std::shared_ptr<Order>> orders;  // announced and not handed out, in order
  std::size_t started = 0;                    // of them, from the front
  std::size_t window = 0;                     // how many may be under way or waiting to be fetched
  bool stopping = false;
  bool hangs = false;       // a reading that was given up
  std::size_t working = 0;  // threads
  std::condition_variable ended;
  std::vector<std::thread> threads;
};

std::uint64_t Loader::Impl::bits(const Order::Picture& picture, SeedPurpose purpose) const {
  return mix_seed(seed,
                  static_cast<std::uint64_t>(picture.epoch),
                  static_cast<std::uint64_t>(picture.index),
                  purpose);
}

bool Loader::Impl::mirrored(const Order::Picture& picture) const {
  return transform.flip > 0 &&
         static_cast<double>(bits(picture, kSeedFlip) >> 11) * 0x1p-53 < transform.flip;
}

std::int64_t Loader::Impl::min_size(const Order::Picture& picture) const {
  const auto& sizes = transform.min_sizes;
  return sizes.empty() ? transform.input.min_size : sizes[bits(picture, kSeedSize) % sizes.size()];
}

MicroBatch Loader::Impl::make(const Order& order) {
  const torch::NoGradGuard no_grad;
  MicroBatch batch;
  batch.number = order.number;
  batch.first = order.first;
  batch.seed = bits(order.pictures.front(), kSeedDetector);
  std::vector<torch::Tensor> images;
  std::vector<bool> mirror;
  for (const Order::Picture& picture : order.pictures) {
    const Sample sample = pictures.get(picture.index);
    const auto [height, width] = resized_size(
        sample.image.size(1), sample.image.size(2), min_size(picture), transform.input.max_size);
    mirror.push_back(mirrored(picture));
    batch.targets.push_back(transform_target(sample, height, width, mirror.back()));
    batch.sizes.emplace_back(height, width);
    images.push_back(resize_picture(sample.image, height, width, transform.input.antialias));
  }
  const auto [height, width] = batch_size_of(batch.sizes, transform.input.size_divisor);
  batch.images = torch::empty({batch.pictures(), 3, height, width}, torch::kFloat32);
  auto* out = batch.images.data_ptr<float>();
  for (std::size_t i = 0; i < images.size(); ++i, out += 3 * height * width) {
    normaliser.write(images[i], mirror[i], out, height, width);
  }
  return batch;
}

void Loader::Impl::work() {
  // A loader thread is one core: torch's kernels must not open a thread team of their own here.
  at::internal::lazy_init_num_threads();
  omp_set_num_threads(1);
  std::unique_lock lock(mutex);
  for (;;) {
    work_to_do.wait(lock, [this] { return stopping || started < std::min(orders.size(), window); });
    if (stopping) {
      --working;
      ended.notify_one();
      return;
    }
    const std::shared_ptr<Order> order = orders[started++];
    lock.unlock();
    try {
      order->batch = make(*order);
    } catch (...) {
      order->error = std::current_exception();
    }
    lock.lock();
    order->done = true;
    batch_done.notify_one();
  }
}

Loader::Loader(std::shared_ptr<const Dataset> dataset,
               std::uint64_t seed,
               TransformOptions transform,
               std::int64_t threads) {
  if (!dataset) {
    throw std::invalid_argument("loader: expected a dataset");
  }
  if (threads < 0 || threads > 256) {
    throw std::invalid_argument("loader: expected 0 to 256 threads, found " +
                                std::to_string(threads));
  }
  impl_ = std::make_shared<Impl>(std::move(dataset), seed, std::move(transform));
  impl_->window = static_cast<std::size_t>(threads) + 2;
  for (std::int64_t i = 0; i < threads; ++i) {
    ++impl_->working;
    impl_->threads.emplace_back([impl = impl_] { impl->work(); });
  }
}

Loader::~Loader() {
  std::unique_lock lock(impl_->mutex);
  impl_->stopping = true;
  impl_->work_to_do.notify_all();
  const bool all = impl_->ended.wait_for(
      lock, impl_->hangs ? kLook : kPatience, [this] { return impl_->working == 0; });
  lock.unlock();
  for (std::thread& thread : impl_->threads) {
    all ? thread.join() : thread.detach();
  }
}

void Loader::announce(const StepPlan& plan) {
  std::vector<std::shared_ptr<Order>> fresh;
  for (std::int64_t j = plan.first_micro; j < plan.last_micro; ++j) {
    auto order = std::make_shared<Order>();
    order->number = j;
    order->first = plan.first + j * plan.micro;
    const std::int64_t count = std::min(plan.micro, plan.first + plan.pictures - order->first);
    if (count < 1) {
      throw std::invalid_argument("loader: the plan has micro-batches without pictures");
    }
    for (std::int64_t p = order->first; p < order->first + count; ++p) {
      order->pictures.push_back({impl_->sampler.epoch(p), impl_->sampler.index(p)});
    }
    fresh.push_back(std::move(order));
  }
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->orders.insert(impl_->orders.end(), fresh.begin(), fresh.end());
  }
  impl_->work_to_do.notify_all();
}

void Loader::cancel() {
  std::deque<std::shared_ptr<Order>> dropped;
  const std::lock_guard lock(impl_->mutex);
  dropped.swap(impl_->orders);
  impl_->started = 0;
}

MicroBatch Loader::next(const std::function<bool()>& give_up) {
  std::unique_lock lock(impl_->mutex);
  if (impl_->orders.empty()) {
    throw std::logic_error("loader: next() without an announced micro-batch");
  }
  const std::shared_ptr<Order> order = impl_->orders.front();
  if (impl_->threads.empty()) {
    impl_->orders.pop_front();
    lock.unlock();
    return impl_->make(*order);
  }
  for (int waits = 0; !impl_->batch_done.wait_for(lock, kLook, [&order] { return order->done; });) {
    if (++waits >= kLooksBeforeGivingUp && give_up && give_up()) {
      impl_->hangs = true;
      throw contract::Error(contract::ExitCode::kInterrupted,
                            "it was interrupted while it waited for a picture");
    }
  }
  impl_->orders.pop_front();
  --impl_->started;
  lock.unlock();
  impl_->work_to_do.notify_one();
  if (order->error) {
    std::rethrow_exception(order->error);
  }
  return std::move(order->batch);
}

BrokenPictures& Loader::broken() {
  return impl_->pictures;
}

std::int64_t Loader::pending() const {
  const std::lock_guard lock(impl_->mutex);
  return static_cast<std::int64_t>(impl_->orders.size());
}

}  // namespace batchscope::train
