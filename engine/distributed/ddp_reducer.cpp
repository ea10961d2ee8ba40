#include "engine/distributed/ddp_reducer.h"

#include <torch/utils.h>

#include <algorithm>
#include <string>
#include <utility>

namespace batchscope::train {

namespace {

/// The Reducer advises against the search for unused parameters once it has found none. Which
/// parameters a detector uses depends on its pictures, so the advice is wrong here.
class NoAdvice : public c10::WarningHandler {
 public:
  void process(const c10::Warning&) override {}
};

}  // namespace

/// Hands each bucket that is ready to DdpReducer.
class DdpReducer::Hook : public c10d::CppCommHookInterface<DdpReducer*> {
 public:
  using CppCommHookInterface::CppCommHookInterface;
  c10::intrusive_ptr<c10::ivalue::Future> runHook(c10d::GradBucket& bucket) override {
    return state_->reduce(bucket);
  }
};

DdpReducer::DdpReducer(const std::vector<torch::Tensor>& parameters,
                       std::shared_ptr<C10dGroup> group)
    : parameters_(parameters), group_(std::move(group)) {
  const std::vector<bool> dense(parameters.size(), false);
  const std::vector<std::size_t> limits = {c10d::kDefaultFirstBucketBytes,
                                           c10d::kDefaultBucketBytesCap};
  auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(parameters, limits, dense));
  // Backward reaches the last parameters first; their buckets leave first.
  std::reverse(buckets.begin(), buckets.end());
  buckets_.resize(buckets.size());
  reducer_ = std::make_shared<c10d::Reducer>(parameters,
                                             std::move(buckets),
                                             group_->process_group(),
                                             dense,
                                             c10d::kDefaultBucketBytesCap,
                                             /*find_unused_parameters=*/true,
                                             /*gradient_as_bucket_view=*/true,
                                             std::unordered_map<std::size_t, std::string>(),
                                             c10d::kDefaultFirstBucketBytes,
                                             /*skip_all_reduce_unused_params=*/false,
                                             /*use_python_reducer=*/false,
                                             std::vector<std::int64_t>());
  logger_ = std::make_shared<c10d::Logger>(reducer_);
  reducer_->set_logger(logger_);
  reducer_->register_comm_hook(std::make_unique<Hook>(this));
}

DdpReducer::~DdpReducer() = default;

c10::intrusive_ptr<c10::ivalue::Future> DdpReducer::reduce(c10d::GradBucket& bucket) {
  const C10dGroup& among = half_ ? *half_group_ : *group_;
  if (half_) {
    remember(bucket);
  }
  std::vector<torch::Tensor> tensors = {bucket.getBuffer()};
  works_.push_back(among.process_group()->allreduce(tensors));
  if (works_.size() == buckets_.size()) {
    enter(Activity::kAllReduce);  // all gradients are there: what is left is to wait for the others
  }
  return works_.back()->getFuture();
}

/// Keeps where a bucket's sum and its parameters lie, for exchange_halves.
void DdpReducer::remember(c10d::GradBucket& bucket) {
  Bucket& known = buckets_.at(bucket.getIndex());
  if (known.own.defined() && known.own.is_alias_of(bucket.getBuffer())) {
    return;
  }
  known = Bucket();
  known.own = bucket.getBuffer();
  known.other = torch::empty_like(known.own);
  known.own_views = bucket.getGradients();
  for (const auto& view : known.own_views) {
    known.other_views.push_back(known.other.as_strided(
        view.sizes(), view.strides(), view.storage_offset() - known.own.storage_offset()));
  }
  for (const auto& parameter : bucket.getParameters()) {
    const auto found =
        std::find_if(parameters_.begin(), parameters_.end(), [&](const torch::Tensor& candidate) {
          return candidate.unsafeGetTensorImpl() == parameter.unsafeGetTensorImpl();
        });
    known.parameters.push_back(std::size_t(found - parameters_.begin()));
  }
}

void DdpReducer::run(const torch::Tensor& output, const torch::Tensor& seed, bool half) {
  half_ = half;
  works_.clear();
  if (half && !half_group_) {
    std::vector<std::int64_t> ranks;
    const std::int64_t size = group_->size() / 2;
    const bool upper = group_->rank() >= size;
    for (std::int64_t r = 0; r < size; ++r) {
      ranks.push_back(r + (upper ? size : 0));
    }
    half_group_ = group_->subgroup(upper ? "half2" : "half1", ranks);
  }
  try {
    const torch::AutoGradMode grad(true);
    reducer_->prepare_for_forward();
    {
      NoAdvice silent;
      const c10::WarningUtils::WarningHandlerGuard guard(&silent);
      reducer_->prepare_for_backward({output});
    }
    output.backward(seed);
    enter(Activity::kComputing);
  } catch (const std::exception& error) {
    // The model's own mistakes pass through; a sum that failed means that a rank is gone.
    const std::string text = error.what();
    // The Reducer waits for the futures, which have their errors before the works have them.
    const bool failed = std::any_of(works_.begin(), works_.end(), [](const auto& work) {
      return work->getFuture()->hasError();
    });
    if (failed || text.find("gloo") != std::string::npos ||
        text.find("NCCL") != std::string::npos || text.find("c10d") != std::string::npos) {
      group_->lost("the all-reduce of gradients", error);
    }
    throw;
  }
}

void DdpReducer::backward(const torch::Tensor& loss, const torch::Tensor& seed, bool half) {
  run(loss, seed, half);
}

void DdpReducer::backward_of_nothing(bool half) {
  // One hook must fire; the Reducer then takes the other parameters for unused.
  const torch::AutoGradMode grad(true);
  const torch::Tensor output = parameters_.front().sum();
  run(output, torch::zeros_like(output), half);
}

void DdpReducer::exchange_halves(StepGradients& out) {
  const std::int64_t size = group_->size() / 2;
  const bool upper = group_->rank() >= size;
  const int partner = int(group_->rank() + (upper ? -size : size));
  group_->guarded("the exchange of half-batch gradients", Activity::kExchange, [&] {
    std::vector<c10::intrusive_ptr<c10d::Work>> works;
    const auto& process_group = group_->process_group();
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
      std::vector<torch::Tensor> own = {buckets_[b].own}, other = {buckets_[b].other};
      // The partners take turns: NCCL carries them out in this order.
      if (upper) {
        works.push_back(process_group->recv(other, partner, int(b)));
        works.push_back(process_group->send(own, partner, int(b)));
      } else {
        works.push_back(process_group->send(own, partner, int(b)));
        works.push_back(process_group->recv(other, partner, int(b)));
      }
    }
    for (const auto& work : works) {
      work->wait();
    }
  });
  out.half1.resize(parameters_.size());
  out.half2.resize(parameters_.size());
  for (const Bucket& bucket : buckets_) {
    for (std::size_t i = 0; i < bucket.parameters.size(); ++i) {
      const std::size_t p = bucket.parameters[i];
      out.half1[p] = upper ? bucket.other_views[i] : bucket.own_views[i];
      out.half2[p] = upper ? bucket.own_views[i] : bucket.other_views[i];
    }
  }
}

}  // namespace batchscope::train
